"""Files that a RUN gives other owners or modes once they are copied, as COPY instructions that do."""
