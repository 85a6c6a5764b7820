"""Every counter that people use today, on the conformance cases: who is exactly right, who errs, who leaves traces."""
