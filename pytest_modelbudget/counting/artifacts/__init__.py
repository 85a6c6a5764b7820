"""Models in files: programs that ``torch.export`` saved, and weights in safetensors files."""
