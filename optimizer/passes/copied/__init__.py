"""What a RUN does to files once they are copied or downloaded, done by the COPY or ADD itself: owners, modes, checksums."""
