"""``dopt lsp``: what ``dopt fix`` would do, shown in editors as the text is typed."""
