"""Figures of the code and the docs, for each revision a column: what `cargo xtask metrics` prints.

    code_metrics.py [--at REVISION]... [--names] [--circles] [--functions] [--docs] [--check]

Without `--at` it measures the tracked files as they are. `--names` lists the type names that stand more than once,
`--circles` the files that import each other within a crate, `--functions` those above 40 lines or 4 arguments, and
`--docs` the functions whose doc comment does not begin with a verb in the third person ("Returns", "Writes").
`--check` prints what breaks the rules and nothing else, and fails if anything does: a name that stands twice, a circle, a
function above 60 lines or 4 arguments, and outside tests the comment of a function that does not begin with a verb.

Tests are everything under tests/, benches/, examples/ and fuzz/, files named tests.rs, and modules behind
`#[cfg(test)]`; a file with such a module counts as both. A function's length is that of the lines from `fn` to its closing brace. A re-export is no import.

Words of docs are what people read as sentences and tables: code blocks, and marks without a letter or digit (`|`, `-`),
do not count in the first figure. The second figure counts everything between white space.
"""

import argparse
import collections
import io
import pathlib
import re
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
LONG_FUNCTIONS = (40, 60)
LONG_FILES = (400, 800)
MANY_ARGUMENTS = 4
# A table of functions refers to the machine that runs them, and the machine runs what the table names.
TABLE_OF_FUNCTIONS = re.compile(r"shared/flatten/src/fhirpath/(functions|functions/\w+|machine|program)\.rs")


# ---- what there is to measure

def tracked_files(revision):
    """Returns the texts of the Rust, Markdown and Cargo files by path: of a revision, or as they are on the disk."""
    wanted = (".rs", ".md", "Cargo.toml")
    if revision is None:
        paths = git("ls-files", "-z").decode().split("\0")
        files = [(path, ROOT / path) for path in paths if path.endswith(wanted)]
        return {path: file.read_text("utf-8") for path, file in files if file.is_file()}
    with tarfile.open(fileobj=io.BytesIO(git("archive", revision))) as archive:
        members = [member for member in archive if member.isfile() and member.name.endswith(wanted)]
        return {member.name: archive.extractfile(member).read().decode("utf-8") for member in members}


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def is_test_path(path):
    parts = pathlib.PurePosixPath(path).parts
    return bool({"tests", "benches", "examples", "fuzz"} & set(parts)) or parts[-1] == "tests.rs"


# ---- a lexer that knows comments, texts and lifetimes

TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)
      | (?P<block>/\*)
      | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)")
      | (?P<text>(?:\b[bc])?"(?:\\.|[^"\\])*")
      | (?P<char>(?:\bb)?'(?:\\(?:u\{[0-9a-fA-F_]+\}|x[0-9a-fA-F]{2}|.)|[^'\\\n])')""",
    re.VERBOSE | re.DOTALL,
)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def mask(source):
    """Returns the source with comments and the insides of texts blanked, and the same with only the comments kept."""
    code, comments, at = [], [], 0
    while match := TOKEN.search(source, at):
        code.append(source[at:match.start()])
        comments.append(blank(source[at:match.start()]))
        end, is_comment = match.end(), match["line"] is not None or match["block"] is not None
        if match["block"]:
            end = end_of_block(source, end)
        elif match["raw"]:
            close = source.find('"' + match["hashes"], end)
            end = len(source) if close < 0 else close + 1 + len(match["hashes"])
        piece = source[match.start():end]
        code.append(blank(piece) if is_comment else '"' + blank(piece[1:-1]) + '"')
        comments.append(piece if is_comment else blank(piece))
        at = end
    return "".join(code) + source[at:], "".join(comments) + blank(source[at:])


def end_of_block(source, at):
    depth = 1
    while depth and (match := re.compile(r"/\*|\*/").search(source, at)):
        depth, at = depth + (1 if match[0] == "/*" else -1), match.end()
    return at if depth == 0 else len(source)


CLOSING = {"(": ")", "[": "]", "{": "}"}


def closing(code, at):
    """Returns the index of the bracket that closes the one at `at`."""
    depth, opening = 0, code[at]
    for match in re.compile("[" + re.escape(opening + CLOSING[opening]) + "]").finditer(code, at):
        depth += 1 if match[0] == opening else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


TEST_MODULE = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*([;{])")


def split_tests(code):
    """Returns the spans of test modules within a file, and the names of those that are files of their own."""
    spans, elsewhere = [], []
    for match in TEST_MODULE.finditer(code):
        if match[2] == ";":
            elsewhere.append(match[1])
        else:
            spans.append((match.start(), closing(code, match.end() - 1) + 1))
    return spans, elsewhere


# ---- one file

class File:
    """A source file, or the part of it that is or is not test."""

    def __init__(self, path, code, comments):
        self.path, self.code = path, code
        lines = code.split("\n")
        self.lines = sum(1 for line, comment in zip(lines, comments.split("\n")) if line.strip() or comment.strip())
        self.code_lines = sum(1 for line in lines if line.strip())
        self.comment_lines = sum(
            1 for line, comment in zip(lines, comments.split("\n")) if comment.strip() and not line.strip()
        )
        self.functions = list(functions(path, code))
        self.unclear_docs = list(unclear_docs(path, code, comments))
        self.types = list(types(path, code))


def functions(path, code):
    """Yields each function with a body: its place and name, its lines and the number of its arguments without self."""
    for match in re.finditer(r"\bfn\s+(\w+)\s*", code):
        at = match.end()
        if at < len(code) and code[at] == "<":
            at = end_of_generics(code, at)
        if at >= len(code) or code[at] != "(":
            continue
        end = closing(code, at)
        arguments = [part.strip() for part in split_at_commas(code[at + 1:end])]
        arguments = [part for part in arguments if part and not re.fullmatch(r"(&\s*('\w+\s+)?)?(mut\s+)?self(\s*:.*)?", part, re.DOTALL)]
        body = body_of(code, end + 1)
        if body is not None:
            length = code.count("\n", match.start(), closing(code, body)) + 1
            yield f"{path}:{code.count(chr(10), 0, match.start()) + 1} {match[1]}", length, len(arguments)


VERB = re.compile(r"[A-Z][a-z]+s")
# Words at the beginning of a comment that look like verbs.
NO_VERBS = frozenset("Bytes Cells Codes Columns Files Keys Lines Members Objects Resources Rows This".split())


def unclear_docs(path, code, comments):
    """Yields each function whose doc comment does not begin with a verb in the third person, with its first line.

    The name of a test is a sentence, and so is its comment.
    """
    lines, docs = code.split("\n"), comments.split("\n")
    for match in re.finditer(r"\bfn\s+(\w+)", code):
        number = at = code.count("\n", 0, match.start())
        at -= 1
        while at >= 0 and lines[at].strip() and lines[at].strip()[-1] in "],":
            at -= 1
        first, is_test = None, any("test]" in line for line in lines[max(at, 0):number]) or match[1].count("_") > 3
        while at >= 0 and docs[at].strip().startswith("///") and not lines[at].strip():
            first, at = docs[at].strip()[3:].strip(), at - 1
        word = re.match(r"[\w-]*", first or "")[0]
        if first is not None and not is_test and (not VERB.fullmatch(word) or word in NO_VERBS):
            yield f"{path}:{number + 1} {match[1]}", first


def end_of_generics(code, at):
    depth = 0
    while at < len(code):
        if code[at] == "<":
            depth += 1
        elif code[at] == ">" and code[at - 1] not in "-=":
            depth -= 1
            if depth == 0:
                return re.compile(r"\s*").match(code, at + 1).end()
        at += 1
    return at


def body_of(code, at):
    while at < len(code) and code[at] != ";":
        if code[at] in "([":
            at = closing(code, at)
        elif code[at] == "{":
            return at
        elif code[at] in "})]":
            return None
        at += 1
    return None


def split_at_commas(text):
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        if letter in "([{<" or letter in ")]}" or (letter == ">" and text[at - 1] not in "-="):
            depth += 1 if letter in "([{<" else -1
        elif letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return parts + [text[start:]]


def types(path, code):
    """Yields the names of structs, enums, unions and traits, and of the type aliases that belong to a module."""
    inside = []
    for match in re.finditer(r"\b(impl|trait)\b[^;{]*\{", code):
        inside.append((match.end(), closing(code, match.end() - 1)))
    for match in re.finditer(r"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?(?:unsafe\s+)?(struct|enum|union|trait|type)\s+(\w+)", code, re.MULTILINE):
        is_associated = match[1] == "type" and any(start <= match.start() < end for start, end in inside)
        if not is_associated:
            yield match[2], path


# ---- imports

class Crate:
    """The modules of a crate and which files import which."""

    def __init__(self, root, sources):
        self.files = {self.module(root, path): path for path in sources}
        self.sources = {self.module(root, path): code for path, code in sources.items()}
        self.exports = {module: dict(self.exported(module)) for module in self.sources}

    @staticmethod
    def module(root, path):
        parts = pathlib.PurePosixPath(path).relative_to(root).with_suffix("").parts
        return tuple(parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts)

    def exported(self, module):
        for path, name in self.uses(module, is_export=True):
            yield name, path

    def uses(self, module, is_export):
        """Yields the paths of `use` declarations as absolute paths, with the name that each brings."""
        for match in re.finditer(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);", self.sources[module]):
            if (match[1] is not None) == is_export:
                for path, name in expand(re.sub(r"\s+", " ", match[2])):
                    if absolute := self.absolute(module, path):
                        yield absolute, name
        if not is_export:
            for match in re.finditer(r"\b((?:crate|super|self)(?:::\w+)+)", self.sources[module]):
                if absolute := self.absolute(module, match[1].split("::")):
                    yield absolute, ""
            yield from self.paths_of_modules(module)

    def paths_of_modules(self, module):
        """Yields the paths that begin with a module by its name alone: a child, or one that a `use` brings."""
        known = {path[-1]: path for path in self.files if path and path[:-1] == module}
        for match in re.finditer(r"\buse\s+([^;]+);", self.sources[module]):
            for path, name in expand(re.sub(r"\s+", " ", match[1])):
                absolute = self.absolute(module, path)
                if absolute in self.files:
                    known[name] = absolute
        code = re.sub(r"\buse\s+[^;]+;", "", self.sources[module])
        for match in re.finditer(r"(?<![\w:])(\w+)::(\w+)", code):
            if match[1] in known:
                yield (*known[match[1]], match[2]), match[2]

    def absolute(self, module, path):
        first, rest = path[0], path[1:]
        if first == "crate":
            return tuple(rest)
        here = module
        while first in ("super", "self"):
            here = here[:-1] if first == "super" else here
            if not rest:
                return here
            first, rest = rest[0], rest[1:]
        if path[0] in ("super", "self") or here + (first,) in self.files:
            return here + (first, *rest)
        return None

    def file_of(self, path, depth=0):
        """Returns the module in whose file the thing of a path is, through the re-exports on the way."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.files:
                module = path[:length]
                name = path[length] if length < len(path) else None
                target = self.exports[module].get(name)
                if target and depth < 10 and target != path:
                    return self.file_of(target, depth + 1)
                return module
        return None

    def circles(self):
        """Returns the sets of files that import each other, by Tarjan's algorithm."""
        edges = {
            module: {target for path, _ in self.uses(module, False) if (target := self.file_of(path)) not in (None, module)}
            for module in self.sources
        }
        index, low, stack, found = {}, {}, [], []

        def visit(node):
            index[node] = low[node] = len(index)
            stack.append(node)
            for target in sorted(edges[node]):
                if target not in index:
                    visit(target)
                    low[node] = min(low[node], low[target])
                elif target in stack:
                    low[node] = min(low[node], index[target])
            if low[node] == index[node]:
                at = stack.index(node)
                if len(stack) - at > 1:
                    found.append(sorted(self.files[module] for module in stack[at:]))
                del stack[at:]

        for node in sorted(edges):
            if node not in index:
                visit(node)
        return found


def expand(tree):
    """Yields the paths of a `use` tree with the name that each brings into scope."""
    tree = tree.strip()
    if "{" in tree:
        head, inner = tree.split("{", 1)
        for part in split_at_commas(inner[:inner.rindex("}")]):
            if part.strip():
                for path, name in expand(part):
                    prefix = [step for step in head.strip().split("::") if step]
                    yield prefix + ([] if path == ["self"] else path), name if path != ["self"] else (prefix or [""])[-1]
        return
    path, _, alias = tree.partition(" as ")
    steps = [step.strip() for step in path.split("::") if step.strip() and step.strip() != "*"]
    if steps:
        yield steps, alias.strip() or steps[-1]


# ---- the figures

def measure(files):
    rust = {path: mask(text) for path, text in files.items() if path.endswith(".rs")}
    elsewhere = set()
    for path, (code, _) in rust.items():
        folder = pathlib.PurePosixPath(path)
        folder = folder.parent if folder.stem in ("mod", "lib", "main") else folder.with_suffix("")
        elsewhere.update(str(folder / name) for name in split_tests(code)[1])
    source, tests, crates = [], [], collections.defaultdict(dict)
    for path, (code, comments) in sorted(rust.items()):
        if is_test_path(path) or any(path == f"{name}.rs" or path.startswith(f"{name}/") for name in elsewhere):
            tests.append(File(path, code, comments))
            continue
        spans, _ = split_tests(code)
        kept, kept_comments, cut, cut_comments = code, comments, blank(code), blank(comments)
        for start, end in spans:
            cut = cut[:start] + code[start:end] + cut[end:]
            cut_comments = cut_comments[:start] + comments[start:end] + cut_comments[end:]
            kept = kept[:start] + blank(kept[start:end]) + kept[end:]
            kept_comments = kept_comments[:start] + blank(kept_comments[start:end]) + kept_comments[end:]
        source.append(File(path, kept, kept_comments))
        if spans:
            tests.append(File(path, cut, cut_comments))
        if "/src/" in path:
            crates[path[:path.index("/src/") + 4]][path] = kept
    circles = [circle for root, sources in sorted(crates.items()) for circle in Crate(root, sources).circles()]
    pages = [text for path, text in files.items() if path.endswith(".md") and not path.endswith("CHANGELOG.md")]
    return source, tests, circles, len(pages), (sum(map(words_to_read, pages)), sum(len(text.split()) for text in pages))


CODE_BLOCK = re.compile(r"^[ \t]*```.*?^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)


def words_to_read(page):
    return sum(1 for word in CODE_BLOCK.sub("", page).split() if re.search(r"\w", word))


def shared_names(source):
    places = collections.defaultdict(list)
    for file in source:
        for name, path in file.types:
            places[name].append(path)
    return {name: paths for name, paths in sorted(places.items()) if len(paths) > 1}


def at_share(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


def figures(source, tests, circles, pages, words):
    lengths = [length for file in source for _, length, _ in file.functions]
    arguments = [count for file in source for _, _, count in file.functions]
    sizes = [file.code.count("\n") for file in source]
    code, comments = sum(file.code_lines for file in source), sum(file.comment_lines for file in source)
    shared = shared_names(source)
    count = sum(len(file.types) for file in source)
    above = lambda values, limits: " / ".join(str(sum(value > limit for value in values)) for limit in limits)
    return {
        "source: files / lines that are not blank": f"{len(source)} / {sum(file.lines for file in source)}",
        "tests: files / lines that are not blank": f"{len(tests)} / {sum(file.lines for file in tests)}",
        "functions": str(len(lengths)),
        "functions: lines, median / p90 / max": f"{at_share(lengths, .5)} / {at_share(lengths, .9)} / {max(lengths)}",
        f"functions above {LONG_FUNCTIONS[0]} / {LONG_FUNCTIONS[1]} lines": above(lengths, LONG_FUNCTIONS),
        "arguments without self: mean / max": f"{sum(arguments) / len(arguments):.2f} / {max(arguments)}",
        f"functions above {MANY_ARGUMENTS} arguments": above(arguments, [MANY_ARGUMENTS]),
        "files: lines, median / max": f"{at_share(sizes, .5)} / {max(sizes)}",
        f"files above {LONG_FILES[0]} / {LONG_FILES[1]} lines": above(sizes, LONG_FILES),
        "types / of them with a name that stands more than once": f"{count} / {sum(map(len, shared.values()))}",
        "names of types that stand more than once": str(len(shared)),
        "comment lines / code lines": f"{comments} / {code} = {comments / code:.2f}",
        "doc comments of functions that do not begin with a verb": str(
            sum(len(file.unclear_docs) for file in source + tests)
        ),
        "circles of imports / files in them": f"{len(circles)} / {sum(map(len, circles))}",
        "docs without CHANGELOG: pages / words / with code blocks": f"{pages} / {words[0]} / {words[1]}",
    }


def broken_rules(source, circles):
    """Yields what breaks the rules, a line each."""
    for name, paths in shared_names(source).items():
        yield f"{name} names several types: {', '.join(paths)}"
    for circle in circles:
        if not all(map(TABLE_OF_FUNCTIONS.fullmatch, circle)):
            yield f"files import each other: {' <-> '.join(circle)}"
    for place, length, count in (function for file in source for function in file.functions):
        if length > LONG_FUNCTIONS[1] or count > MANY_ARGUMENTS:
            yield f"{place}: {length} lines, {count} arguments"
    for place, first in (function for file in source for function in file.unclear_docs):
        yield f"{place}: the comment does not begin with a verb: {first}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at", action="append", metavar="REVISION", help="measure this revision; may be repeated")
    for option in ("names", "circles", "functions", "docs"):
        parser.add_argument(f"--{option}", action="store_true", help=f"list the {option}")
    parser.add_argument("--check", action="store_true", help="list what breaks the rules, and fail if anything does")
    options = parser.parse_args()
    if options.check:
        source, _, circles, _, _ = measure(tracked_files(None))
        broken = list(broken_rules(source, circles))
        sys.exit("\n".join(broken) or None)
    revisions = options.at or [None]
    measured = [measure(tracked_files(revision)) for revision in revisions]
    columns = [figures(*one) for one in measured]
    titles = [revision or "as it is" for revision in revisions]
    first = max(map(len, columns[0]))
    widths = [max(len(title), *map(len, column.values())) for title, column in zip(titles, columns)]
    print(" " * first, *(title.rjust(width) for title, width in zip(titles, widths)), sep="  ")
    for name in columns[0]:
        print(name.ljust(first), *(column[name].rjust(width) for column, width in zip(columns, widths)), sep="  ")
    for title, (source, tests, circles, _, _) in zip(titles, measured):
        if options.names:
            print(f"\nNames of types that stand more than once ({title}):")
            for name, paths in shared_names(source).items():
                print(f"  {name}: {', '.join(paths)}")
        if options.circles:
            print(f"\nFiles that import each other ({title}):")
            print(*(f"  {' <-> '.join(circle)}" for circle in circles), sep="\n")
        if options.docs:
            print(f"\nDoc comments of functions that do not begin with a verb ({title}):")
            print(*(f"  {place}: {first}" for file in source + tests for place, first in file.unclear_docs), sep="\n")
        if options.functions:
            print(f"\nFunctions above {LONG_FUNCTIONS[0]} lines or {MANY_ARGUMENTS} arguments ({title}):")
            for place, length, count in (function for file in source for function in file.functions):
                if length > LONG_FUNCTIONS[0] or count > MANY_ARGUMENTS:
                    print(f"  {place}: {length} lines, {count} arguments")


if __name__ == "__main__":
    main()
