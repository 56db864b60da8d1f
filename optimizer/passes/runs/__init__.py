"""What RUN text means to a pass: its shell, what it is about, what it leaves behind, how it is broken over lines."""
