"""V8's unity build: several sources, compiled as one file that includes them, read their headers once.

The interface is the one that v8/gni/cluster_build.gni calls; V8's own helper is not part of the published crate.
`--compute-filenames` prints the names of the files to come, one a line; `--generate` writes them. Both must cut the
sources in the same way, so both go through `clusters`.
"""

import argparse
import pathlib
from collections import defaultdict


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--compute-filenames", action="store_true")
    mode.add_argument("--generate", action="store_true")
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--cluster-size", type=int, required=True)
    parser.add_argument("--small-cluster-size", type=int, default=1)
    parser.add_argument("--small-cluster-dirs", action="append", default=[], metavar="DIR")
    parser.add_argument("--output-dir", type=pathlib.Path)
    parser.add_argument("--include-prefix", default="", help="from the written file back to the build folder")
    parser.add_argument("--strip-prefix", default="", help="what generated sources' paths begin with")
    parser.add_argument("sources", nargs="+")
    return parser.parse_args()


def clusters(options):
    """Yields (file name, sources). No cluster spans folders: names that files of one folder keep apart may clash
    with those of another folder."""
    folders = defaultdict(list)
    for source in options.sources:
        folders[source.rpartition("/")[0]].append(source)
    number = 0
    for folder, sources in folders.items():
        small = any(f"/{name}/" in f"/{folder}/" for name in options.small_cluster_dirs)
        size = options.small_cluster_size if small else options.cluster_size
        # Files written in Turboshaft's assembler open macros that the next file would see.
        alone = [source for source in sources if source.endswith("-tsa.cc")]
        together = [source for source in sources if not source.endswith("-tsa.cc")]
        parts = [together[at:at + size] for at in range(0, len(together), size)] + [[source] for source in alone]
        for part in parts:
            yield f"{options.prefix}-cluster-{number}.cc", part
            number += 1


def include(options, source):
    return f'#include "{options.include_prefix}{source.removeprefix(options.strip_prefix)}"\n'


def main():
    options = parse()
    for name, sources in clusters(options):
        if options.compute_filenames:
            print(name)
            continue
        options.output_dir.mkdir(parents=True, exist_ok=True)
        text = "".join(include(options, source) for source in sources)
        file = options.output_dir / name
        # An unchanged file keeps its time, so that ninja does not compile it again.
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


main()
