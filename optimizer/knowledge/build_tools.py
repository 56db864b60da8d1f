"""Python packages that only building other packages needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping

BUILD_TOOLS: Mapping[str, tuple[str, ...]] = {
    "cmake": ("cmake",),
    "cython": ("Cython", "cython", "pyximport"),
    "maturin": ("maturin",),
    "meson": ("mesonbuild",),
    "meson-python": ("mesonpy",),
    "nanobind": ("nanobind",),
    "ninja": ("ninja",),
    "pybind11": ("pybind11",),
    "scikit-build": ("skbuild",),
    "scikit-build-core": ("scikit_build_core",),
}
"""The modules that each of them brings. Small ones are left out, and setuptools, whose ``pkg_resources`` many packages import."""
_COMPILING = frozenset({
    "aesara", "brian2", "cppimport", "cppyy", "deepspeed", "flash-attn", "ipykernel", "ipython", "jax", "jupyter", "jupyterlab", "notebook",
    "pymc", "pystan", "pytensor", "pythran", "theano", "torch", "triton", "xformers",
})  # fmt: skip
"""Packages that compile code while they run, some by the tools above, or run code that people bring."""


def unneeded_tools(installed: Collection[str], modules: Collection[str], programs: Collection[str]) -> tuple[str, ...]:
    """Those of some packages that nothing needs when a program runs.

    Args:
        installed: Packages that are asked for by name, normalised.
        modules: The top-level modules that the program imports.
        programs: The names of the programs that it starts.

    Returns:
        Their names, sorted; none where a package may compile code while it runs.
    """
    if _COMPILING & set(installed):
        return ()
    return tuple(
        sorted(name for name in installed if name in BUILD_TOOLS and not {*BUILD_TOOLS[name]} & set(modules) and name not in programs)
    )
