"""The whole feature job on lakes of growing size."""
