"""Images: their sources, their selection and their geometry."""
