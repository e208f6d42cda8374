"""What the notebooks call: workspace, pictures and sound on the page, the upload panel."""
