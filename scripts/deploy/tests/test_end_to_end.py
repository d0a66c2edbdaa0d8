"""What the end-to-end tests set up on a cluster, as far as that shows without one."""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import chart
import manifests
import yaml

E2E = chart.REPOSITORY / "e2e"
TEST = (E2E / "scripts/test.sh").read_text()


def exported(name):
    return re.search(rf"^export {name}=(.*)$", TEST, re.MULTILINE)[1].strip('"')


class TheSetup(unittest.TestCase):
    def setUp(self):
        self.values = yaml.safe_load((E2E / "values.yaml").read_text())
        self.resources = chart.render(file=E2E / "values.yaml")

    def test_applies_valid_manifests(self):
        files = sorted((E2E / "manifests").glob("*.yaml"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file.name):
                self.assertEqual(manifests.complaints(manifests.load(file.read_text())), [])

    def test_maps_the_node_ports_of_the_services_to_those_of_the_tests(self):
        mapped = {
            m["containerPort"]: m["hostPort"]
            for node in yaml.safe_load((E2E / "kind.yaml").read_text())["nodes"]
            for m in node["extraPortMappings"]
        }
        common = dict(re.findall(r"^(\w+)_port=(\d+)$", (E2E / "scripts/common.sh").read_text(), re.MULTILINE))
        for service, name in (("jwtlet", "exchange"), ("jwtlet-management", "management")):
            port = chart.one(self.resources, "Service", service)["spec"]["ports"][0]["nodePort"]
            self.assertEqual(mapped[port], int(common[name]))

    def test_configures_what_the_tests_expect(self):
        config = self.values["config"]
        self.assertEqual(exported("JWTLET_E2E_ISSUER"), config["issuer"])
        self.assertEqual(exported("JWTLET_E2E_AUDIENCE"), config["token"]["audience"])
        installed = self.values["policy"]["documents"]["installed.yaml"]
        self.assertEqual(exported("JWTLET_E2E_CLIENT"), installed["clientIdentifier"])
        self.assertEqual(exported("JWTLET_E2E_INSTALLED_CONTEXT"), installed["participantContext"])

    def test_gives_the_client_a_token_for_jwtlet_and_one_for_somebody_else(self):
        pod = chart.one(manifests.load((E2E / "manifests/client.yaml").read_text()), "Pod")["spec"]
        tokens = [source["serviceAccountToken"] for source in pod["volumes"][0]["projected"]["sources"]]
        audiences = {token["path"]: token["audience"] for token in tokens}
        self.assertEqual(audiences, {"exchange-token": "jwtlet-exchange", "foreign-token": "somebody-else"})
        mount = pod["containers"][0]["volumeMounts"][0]["mountPath"]
        self.assertIn(f"{mount}/exchange-token", exported("JWTLET_E2E_SUBJECT_TOKEN_COMMAND"))
        self.assertIn(f"{mount}/foreign-token", exported("JWTLET_E2E_FOREIGN_TOKEN_COMMAND"))

    def test_builds_the_image_that_is_installed(self):
        image = re.search(r"^image=(\S+)$", (E2E / "scripts/common.sh").read_text(), re.MULTILINE)[1]
        container = manifests.pod_of(chart.one(self.resources, "Deployment"))["containers"][0]
        self.assertEqual(container["image"], image)


class TheVariables(unittest.TestCase):
    def test_of_the_program_are_those_of_the_script_and_of_its_description(self):
        names = r"JWTLET_E2E_[A-Z_]+"
        program = set(re.findall(names, (chart.REPOSITORY / "crates/jwtlet-e2e/src/settings.rs").read_text()))
        self.assertEqual(set(re.findall(rf"export ({names})=", TEST)), program)
        described = set(re.findall(names, (E2E / "README.md").read_text()))
        self.assertEqual(described - {"JWTLET_E2E_CLUSTER"}, program)


if __name__ == "__main__":
    unittest.main()
