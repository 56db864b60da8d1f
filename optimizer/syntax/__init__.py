"""Text to a frozen, lossless tree and back; the shell text of RUN with offsets. Knows nothing of optimizing."""

from optimizer.syntax.heredocs import Heredoc
from optimizer.syntax.joined import JoinedText
from optimizer.syntax.nodes import Argument, Blank, Comment, Directive, Flag, Instruction, Node, Pair
from optimizer.syntax.parser import decode, encode, parse, parse_nodes
from optimizer.syntax.tree import Dockerfile, Problem

__all__ = [
    "Argument", "Blank", "Comment", "Directive", "Dockerfile", "Flag", "Heredoc", "Instruction", "JoinedText", "Node", "Pair",
    "Problem", "decode", "encode", "parse", "parse_nodes",
]  # fmt: skip
