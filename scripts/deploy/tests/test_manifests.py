"""The checks of manifests find what is wrong: each test breaks one thing of a good manifest."""

import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import chart
import manifests
import yaml

GOOD = chart.render(file=chart.CHART / "ci/production-values.yaml")
TLS = chart.render(file=chart.CHART / "ci/cert-manager-values.yaml")


class ABrokenManifest(unittest.TestCase):
    def assert_found(self, kind, change, complaint, good=GOOD):
        broken = copy.deepcopy(good)
        change(next(resource for resource in broken if resource["kind"] == kind))
        found = manifests.complaints(broken)
        self.assertTrue(any(complaint in line for line in found), f"{complaint!r} is not in {found}")

    def in_pod(self, change, complaint):
        self.assert_found("Deployment", lambda d: change(manifests.pod_of(d)), complaint)

    def in_container(self, change, complaint):
        self.in_pod(lambda pod: change(pod["containers"][0]), complaint)

    def test_that_is_not_broken_has_no_complaints(self):
        self.assertEqual(manifests.complaints(GOOD), [])

    def test_with_an_unknown_field_fails(self):
        self.in_pod(lambda pod: pod.update(replicas=2), "'replicas' was unexpected")
        self.in_container(lambda c: c["readinessProbe"]["httpGet"].update(paht="/"), "'paht' was unexpected")
        self.assert_found("Service", lambda s: s["spec"].update(prots=[]), "'prots' was unexpected")

    def test_with_a_wrong_type_or_without_a_required_field_fails(self):
        self.assert_found("Deployment", lambda d: d["spec"].update(replicas="two"), "'two' is not of type")
        self.assert_found("Deployment", lambda d: d["spec"].pop("selector"), "'selector' is a required property")

    def test_of_an_operator_fails_likewise(self):
        endpoint = lambda m: m["spec"]["endpoints"][0]
        self.assert_found("ServiceMonitor", lambda m: endpoint(m).update(intervall="1s"), "'intervall' was unexpected")
        self.assert_found("ServiceMonitor", lambda m: m["spec"].pop("selector"), "'selector' is a required property")
        rules = {"groups": [{"name": "a", "rules": [{"alert": "b"}]}]}
        self.assert_found("PrometheusRule", lambda r: r.update(spec=rules), "'expr' is a required property")
        self.assert_found("Certificate", lambda c: c["spec"].update(dnsName="a"), "'dnsName' was unexpected", TLS)

    def test_of_a_kind_that_nobody_knows_fails(self):
        self.assert_found("Deployment", lambda d: d.update(kind="Deploiment"), "cannot be validated")
        self.assert_found("Deployment", lambda d: d.update(apiVersion="apps/v9"), "cannot be validated")

    def test_that_is_less_than_restricted_fails(self):
        self.in_pod(lambda pod: pod["securityContext"].update(runAsUser=0), "may run as root")
        self.in_pod(lambda pod: pod["securityContext"].pop("seccompProfile"), "seccomp")
        self.in_pod(lambda pod: pod.update(hostNetwork=True), "hostNetwork")
        self.in_pod(lambda pod: pod["volumes"].append({"name": "v", "hostPath": {"path": "/"}}), "is a hostPath")
        self.in_container(lambda c: c.pop("securityContext"), "root filesystem can be written to")
        self.in_container(lambda c: c["securityContext"]["capabilities"].update(add=["NET_ADMIN"]), "capabilities")
        self.in_container(lambda c: c.pop("resources"), "no limit for memory")

    def test_that_holds_a_secret_fails(self):
        text = '"url" = "postgresql://u:p@h/d"\n'
        self.assert_found("ConfigMap", lambda c: c["data"].update(a=text), "credential under")
        self.assert_found("ConfigMap", lambda c: c["data"].update(a='"token" = "hvs.x"'), "credential under")
        variable = {"name": "JWTLET__VAULT__TOKEN", "value": "x"}
        self.in_container(lambda c: c["env"].append(variable), "the variable JWTLET__VAULT__TOKEN")

    def test_whose_pods_are_killed_while_they_drain_fails(self):
        self.in_pod(lambda pod: pod.update(terminationGracePeriodSeconds=30), "too few")
        delay = '"shutdown_delay" = "10s"'
        without = lambda c: c["data"].update({"config.toml": c["data"]["config.toml"].replace(delay, "")})
        self.assert_found("ConfigMap", without, "stops listening while")
        self.in_container(lambda c: c.update(livenessProbe={"exec": {"command": ["sh"]}}), "no livenessProbe")

    def test_that_grants_more_than_token_reviews_fails(self):
        self.assert_found("ClusterRole", lambda r: r["rules"][0]["resources"].append("secrets"), "grants more")

    def test_that_selects_nothing_fails(self):
        self.assert_found("Service", lambda s: s["spec"]["selector"].update(a="b"), "selects no pod")
        self.assert_found("Service", lambda s: s["spec"]["ports"][0].update(targetPort="x"), "has the port x")

    def test_with_a_key_that_is_given_twice_fails(self):
        with self.assertRaisesRegex(yaml.YAMLError, "given twice"):
            manifests.load("a: 1\nb: 2\na: 3\n")

    def test_that_is_empty_fails(self):
        self.assertEqual(manifests.complaints([]), ["there is no resource"])


if __name__ == "__main__":
    unittest.main()
