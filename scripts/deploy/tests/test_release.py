"""The version of a release: tag, program, chart and changelog have to agree."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
FILES = {
    "Cargo.toml": '[workspace.package]\nversion = "1.2.3"\n[workspace.dependencies]\nother = { version = "9" }\n',
    "deploy/helm/jwtlet/Chart.yaml": "apiVersion: v2\nversion: 1.2.3\nappVersion: 1.2.3\n",
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- Later.\n\n## 1.2.3 (2027-01-31)\n\n### Added\n\n- This.\n\n## 1.2.2\n\n- That.\n",
}


class ReleaseVersion(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for name, text in FILES.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        (self.root / "scripts").mkdir()
        shutil.copy(REPOSITORY / "scripts/release-version", self.root / "scripts")

    def run_script(self, *arguments):
        command = [self.root / "scripts/release-version", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return result.returncode, result.stdout, result.stderr

    def test_is_that_of_the_tag(self):
        self.assertEqual(self.run_script("v1.2.3"), (0, "1.2.3\n", ""))

    def test_has_its_part_of_the_changelog(self):
        status, notes, _ = self.run_script("--notes", "v1.2.3")
        self.assertEqual((status, notes.strip()), (0, "### Added\n\n- This."))

    def test_that_disagrees_anywhere_is_refused_with_the_file(self):
        for name, text in FILES.items():
            (self.root / name).write_text(text.replace("1.2.3", "1.2.4"))
            status, _, message = self.run_script("v1.2.3")
            self.assertEqual(status, 1)
            self.assertIn(name, message)
            (self.root / name).write_text(text)

    def test_that_is_no_version_is_refused(self):
        for tag in ("1.2.3", "v1.2", "v1.2.3;x", "latest"):
            self.assertEqual(self.run_script(tag)[0], 1)

    def test_of_the_program_and_of_the_chart_agree_now(self):
        def version(file, start):
            lines = (REPOSITORY / file).read_text().splitlines()
            return next(line for line in lines if line.startswith(start)).removeprefix(start).strip('"')

        chart = "deploy/helm/jwtlet/Chart.yaml"
        versions = {version("Cargo.toml", "version = "), version(chart, "version: "), version(chart, "appVersion: ")}
        self.assertEqual(len(versions), 1)


if __name__ == "__main__":
    unittest.main()
