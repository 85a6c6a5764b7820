"""One module per operator family: small pure functions on shapes."""
