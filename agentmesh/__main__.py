"""Starts the command line: ``agentmesh ...`` and ``python -m agentmesh ...``."""

import sys

from agentmesh.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
