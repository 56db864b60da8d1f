"""Facts about base images, Debian packages and Python packages: data files and the functions that read them."""
