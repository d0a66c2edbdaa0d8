"""The checks of the image find what is wrong with it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import image

GOOD = (image.REPOSITORY / "Dockerfile").read_text()


class TheDockerfile(unittest.TestCase):
    def assert_found(self, old, new, complaint):
        self.assertIn(old, GOOD)
        found = image.dockerfile(GOOD.replace(old, new))
        self.assertTrue(any(complaint in line for line in found), f"{complaint!r} is not in {found}")

    def test_has_no_complaints(self):
        self.assertEqual(image.dockerfile(GOOD), [])

    def test_with_another_base_or_user_fails(self):
        self.assert_found(f"FROM {image.BASE}", "FROM debian:12", "the base is not")
        self.assert_found("USER 65532:65532", "USER nonroot", "the user is not")
        self.assert_found("USER 65532:65532\n", "", "the user is not")

    def test_with_a_shell_fails(self):
        self.assert_found('ENTRYPOINT ["/usr/local/bin/jwtlet-server"]', "ENTRYPOINT jwtlet-server", "ENTRYPOINT is not")
        self.assert_found('CMD ["/usr/local/bin/jwtlet-server", "probe"]', "CMD curl localhost", "HEALTHCHECK is not")
        self.assert_found("STOPSIGNAL SIGTERM", "RUN true", "RUN in the stage")

    def test_with_a_secret_without_a_label_or_without_its_ports_fails(self):
        self.assert_found("STOPSIGNAL SIGTERM", "ENV VAULT_TOKEN=x", "looks like a secret")
        self.assert_found("org.opencontainers.image.revision=", "revision=", "image.revision is missing")
        self.assert_found("EXPOSE 8080 8081", "EXPOSE 8080", "does not expose")


class TheBuild(unittest.TestCase):
    def test_gets_what_the_last_pattern_admits(self):
        ignored = "# a comment\n*\n!/crates\n!/docs/a.json\n/crates/*/corpus\n"
        for file in ("crates/a/src/lib.rs", "docs/a.json"):
            self.assertTrue(image.admitted(ignored, file), file)
        for file in ("README.md", "docs/b.json", "other/crates/a.rs", "crates/a/corpus/b"):
            self.assertFalse(image.admitted(ignored, file), file)

    def test_can_read_the_workspace(self):
        with tempfile.TemporaryDirectory() as directory:
            for file in image.context():
                target = pathlib.Path(directory, file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(image.REPOSITORY / file, target)
            for script in ("image-root", "release-build", "sbom"):
                self.assertTrue(os.access(pathlib.Path(directory, "scripts", script), os.X_OK), script)
            command = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
            result = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            for package in json.loads(result.stdout)["packages"]:
                for target in package["targets"]:
                    self.assertTrue(pathlib.Path(target["src_path"]).is_file(), target["src_path"])

    def test_has_every_file_that_a_crate_takes_in(self):
        files = set(image.context())
        taken = re.compile(r"""\binclude(?:_str|_bytes)?!\s*\(\s*("?)([^")]*)|#\[path = (")([^"]*)""")
        found = 0
        for file in sorted(files):
            # Tests are not built for the image.
            if file.suffix != ".rs" or "tests" in file.parts:
                continue
            for quote, one, path, other in taken.findall((image.REPOSITORY / file).read_text()):
                self.assertTrue(quote or path, f"{file}: {one} is not a plain path")
                target = pathlib.PurePosixPath(os.path.normpath(file.parent / (one or other)))
                self.assertTrue(target in files, f"{file} takes in {target}, which .dockerignore keeps out")
                found += 1
        self.assertGreaterEqual(found, 3)


class TheUserOfTheImage(unittest.TestCase):
    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_is_who_runs_the_programs_as_root(self):
        self.assertEqual(image.entrance(pathlib.Path("/"))[1:], [f"--userspec={image.USER}", "/"])
        command = [*image.entrance(pathlib.Path("/")), "/usr/bin/id", "-u"]
        self.assertEqual(subprocess.run(command, capture_output=True, text=True, check=True).stdout, "65532\n")


class TheLayout(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.image = pathlib.Path(self.directory.name)
        for name, mode in image.FILES.items():
            file = self.image / "root" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            file.chmod(mode)
        (self.image / "data").mkdir()

    def tearDown(self):
        self.directory.cleanup()

    def test_as_it_should_be_has_no_complaints(self):
        self.assertEqual(image.layout(self.image), [])

    def test_with_another_file_fails(self):
        (self.image / "root/bin").mkdir()
        (self.image / "root/bin/sh").touch()
        self.assertIn("/bin/sh", image.layout(self.image)[0])

    def test_with_a_file_of_the_wrong_mode_or_without_one_fails(self):
        (self.image / "root/usr/local/bin/jwtlet").chmod(0o4755)
        self.assertIn("mode 4755", image.layout(self.image)[0])
        (self.image / "root/usr/share/doc/jwtlet/LICENSE").unlink()
        self.assertIn("/usr/share/doc/jwtlet/LICENSE is missing", image.layout(self.image))


class AProgram(unittest.TestCase):
    def build(self, *arguments):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        program = pathlib.Path(self.directory.name, "program")
        source = "int main() { return 0; }"
        subprocess.run(["cc", "-x", "c", "-", "-o", program, *arguments], input=source, text=True, check=True)
        return image.linking(program)

    def test_with_all_protections_has_no_complaints(self):
        self.assertEqual(self.build("-pie", "-fPIE", "-Wl,-z,relro,-z,now"), [])

    def test_without_protections_fails(self):
        found = self.build("-no-pie", "-Wl,-z,norelro", "-Wl,-z,execstack")
        self.assertEqual([line.removeprefix("program ") for line in found], ["is not position-independent", "its relocations can be written to", "its stack is executable"])

    def test_that_looks_elsewhere_or_needs_what_the_base_lacks_fails(self):
        self.assertEqual(self.build("-pie", "-fPIE", "-Wl,-z,relro,-z,now,-rpath,/opt"), ["program looks for libraries in a place of its own"])
        shared = pathlib.Path(self.directory.name, "libother.so")
        subprocess.run(["cc", "-shared", "-x", "c", "-", "-o", shared, "-Wl,-soname,libother.so"], input="", text=True, check=True)
        kept = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, kept)
        shutil.copy(shared, kept / "libother.so")
        found = self.build("-pie", "-fPIE", "-Wl,-z,relro,-z,now", "-Wl,--no-as-needed", f"-L{kept}", "-lother")
        self.assertEqual(found, ["program needs libother.so"])


if __name__ == "__main__":
    unittest.main()
