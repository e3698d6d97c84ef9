#!/usr/bin/python3
# suite: all
"""A tenant moves three times under load, and is frozen for a second at most in the best of them; then the mover is killed at
every step, and goes on. See tests/conformance/move.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import move

if __name__ == '__main__':
    sys.exit(move.main(sys.argv[1:] or ('loads', 'kill')))
