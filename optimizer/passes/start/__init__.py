"""What starting a program without its package manager asks for."""
