#!/usr/bin/python3
# suite: all
"""A tenant of many files (--nodes, 200,000; three rows each) moves three times (--rounds) while it is worked on. However many
there are, what is read while nobody may change it is what has changed, and in the best of the moves it is frozen for a second at
most. See tests/conformance/move.py."""
import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'conformance'))
import gh
import move


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--nodes', type=int, default=200000)
    p.add_argument('--rounds', type=int, default=3)
    a = p.parse_args()
    large, best = move.large, []

    def and_in_time(*args):
        best.append(min(frozen for _, frozen, _ in large(*args)))
        move.t.ok(best[0] <= 1000 * gh.SLOW, 'frozen for a second at most', '(%.0f ms)' % best[0])

    move.large = and_in_time
    return move.main(('large',), a.nodes, [('east', 'main')[i % 2] for i in range(a.rounds)])


if __name__ == '__main__':
    sys.exit(main())
