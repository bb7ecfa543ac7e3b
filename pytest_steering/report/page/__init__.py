"""The report as a page: one file that a person would rather look at than the terminal."""

from pytest_steering.report.page.rendering import render

__all__ = ["render"]
