"""The version of the package, which each request names too."""

VERSION = "0.1.0"
