"""The chart: every value set gives manifests that a cluster accepts and a configuration that the server accepts."""

import json
import pathlib
import sys
import tomllib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import chart
import manifests
import yaml

# The last one is what the end-to-end tests install.
EVERY_SET = [None, *chart.VALUE_SETS, chart.REPOSITORY / "e2e/values.yaml"]


def name(file):
    return file.name if file else "default values"


class EveryValueSet(unittest.TestCase):
    def test_there_are_the_default_and_at_least_five_others(self):
        self.assertGreaterEqual(len(chart.VALUE_SETS), 5)

    def test_its_manifests_are_valid_restricted_and_without_secrets(self):
        for file in EVERY_SET:
            with self.subTest(name(file)):
                self.assertEqual(manifests.complaints(chart.render(file=file)), [])

    def test_the_server_accepts_its_configuration(self):
        for file in EVERY_SET:
            with self.subTest(name(file)):
                answer = chart.check_config(*chart.configuration(chart.render(file=file)))
                self.assertIn("the configuration is good", answer)

    def test_all_kinds_of_resources_are_made_by_some(self):
        kinds = {resource["kind"] for file in EVERY_SET for resource in chart.render(file=file)}
        wanted = """Certificate ClusterRole ClusterRoleBinding ConfigMap Deployment HorizontalPodAutoscaler Job NetworkPolicy
            PersistentVolumeClaim PodDisruptionBudget PrometheusRule Service ServiceAccount ServiceMonitor"""
        self.assertEqual(kinds, set(wanted.split()))


class EveryKeyOfTheConfiguration(unittest.TestCase):
    def test_the_example_as_values_is_a_configuration_that_the_server_accepts(self):
        values = {"config": chart.example_in_use(), "vault": {"auth": "config"}, "replicaCount": 1}
        text, variables = chart.configuration(chart.render(values))
        rendered = chart.leaves(tomllib.loads(text))
        self.assertLessEqual(chart.leaves(chart.example_in_use()).items(), rendered.items())
        self.assertIn("the configuration is good", chart.check_config(text, variables))

    def test_each_key_that_is_no_secret_arrives_with_its_value(self):
        tree = chart.example_with_every_key()
        self.assertLessEqual(chart.leaves(chart.example_in_use()).keys(), chart.leaves(tree).keys())
        for path in chart.SECRET_KEYS:
            del tree[path[0]][path[1]]
        text, _ = chart.configuration(chart.render({"config": tree, "vault": {"auth": "config"}, "replicaCount": 1}))
        rendered = chart.leaves(tomllib.loads(text))
        for path, value in chart.leaves(tree).items():
            with self.subTest(".".join(path)):
                self.assertEqual((rendered.get(path), type(rendered.get(path))), (value, type(value)))

    def test_has_a_place_in_the_schema_and_no_other_has(self):
        def compare(schema, tree, path):
            self.assertIs(schema["additionalProperties"], False, path)
            self.assertEqual(schema["properties"].keys(), tree.keys(), path)
            for key, value in tree.items():
                # Its keys are names of service accounts.
                if isinstance(value, dict) and key != "service_accounts":
                    compare(schema["properties"][key], value, f"{path}.{key}")

        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        compare(schema["properties"]["config"], chart.example_with_every_key(), "config")

    def test_each_secret_comes_from_a_secret_and_is_refused_elsewhere(self):
        every = chart.leaves(chart.example_with_every_key())
        for path, values in chart.SECRET_KEYS.items():
            with self.subTest(".".join(path)):
                self.assertIn(path, every)
                _, variables = chart.configuration(chart.render(values))
                source = variables["__".join(["JWTLET", *path]).upper()]
                self.assertEqual(source.keys(), {"secretKeyRef"})
                with self.assertRaisesRegex(chart.Refused, path[1]):
                    chart.render({"config": {path[0]: {path[1]: "x"}}})

    def test_texts_numbers_and_lists_keep_what_they_are(self):
        odd = {
            "text": 'a "quoted" \\ text <&> with\nlines, ü and 🔑',
            "number": 68719476736,
            "fraction": 0.25,
            "negative": -1,
            "no": False,
            "list": [1, 2, "three"],
            "empty": [],
            "nested": {"a b.c": {"d": [{"e": 1, "f": "g"}, {"e": 2}]}, "nothing": {}},
        }
        text, _ = chart.configuration(chart.render({"config": {"odd": odd}}, None, "--skip-schema-validation"))
        self.assertEqual(tomllib.loads(text)["odd"], odd)

    def test_null_removes_a_default(self):
        text, _ = chart.configuration(chart.render({"config": {"log_format": None}}))
        self.assertNotIn("log_format", tomllib.loads(text))

    def test_what_the_configuration_says_wins_over_what_the_chart_would_add(self):
        text, _ = chart.configuration(chart.render({"config": {"issuer": "https://a.example", "vault": {"kubernetes_role": "mine"}}}))
        config = tomllib.loads(text)
        self.assertEqual((config["issuer"], config["vault"]["kubernetes_role"]), ("https://a.example", "mine"))

    def test_a_changed_configuration_replaces_the_pods(self):
        def pods(values):
            return chart.one(chart.render(values), "Deployment")["spec"]["template"]

        self.assertNotEqual(pods({}), pods({"config": {"token": {"token_ttl_secs": 60}}}))


class Stopping(unittest.TestCase):
    def test_has_time_for_the_delay_and_for_what_runs(self):
        def period(values):
            return manifests.pod_of(chart.one(chart.render(values), "Deployment"))["terminationGracePeriodSeconds"]

        self.assertEqual(period({}), 10 + 30 + 5)
        self.assertEqual(period({"drain": {"delaySeconds": 60}}), 60 + 30 + 5)
        self.assertEqual(period({"config": {"http": {"shutdown_delay": "1m 30s"}}}), 90 + 30 + 5)


class WhatCannotWork(unittest.TestCase):
    def assert_refused(self, values, reason):
        with self.assertRaisesRegex(chart.Refused, reason):
            chart.render(values)

    def test_is_refused_before_it_reaches_a_cluster(self):
        memory = {"storage_backend": {"type": "memory"}}
        self.assert_refused({"config": memory}, "for one replica")
        self.assert_refused({"config": memory, "replicaCount": 1, "autoscaling": {"enabled": True}}, "for one replica")
        self.assert_refused({"autoscaling": {"enabled": True, "minReplicas": 9}}, "less than autoscaling.minReplicas")
        self.assert_refused({"tls": {"enabled": True}}, "tls needs")
        self.assert_refused({"vault": {"auth": "token"}}, "needs vault.token.existingSecret")
        self.assert_refused({"postgresql": {"existingSecret": ""}}, "needs postgresql.existingSecret")
        self.assert_refused({"serviceAccount": {"create": False}}, "serviceAccount.name is needed")
        tls = {"enabled": True, "existingSecret": "a", "clientCa": {"existingSecret": "b"}}
        self.assert_refused({"tls": tls, "policy": {"documents": {"a.yaml": {}}}}, "name one for the policy job")

    def test_misspelt_and_mistyped_values_are_refused(self):
        self.assert_refused({"replicas": 3}, "replicas")
        self.assert_refused({"vault": {"auth": "magic"}}, "vault")
        self.assert_refused({"config": {"token_exchange_port": 0}}, "token_exchange_port")
        self.assert_refused({"config": {"isuer": "https://jwtlet.example.com"}}, "isuer")
        self.assert_refused({"config": {"storage_backend": {"pool": {"max_conections": 5}}}}, "max_conections")
        self.assert_refused({"networkPolicy": {"exchangeFrom": []}}, "exchangeFrom")
        self.assert_refused({"policy": {"documents": {"../a.yaml": {}}}}, "invalid propertyName")


class TheManagementPort(unittest.TestCase):
    def test_is_closed_to_those_who_may_only_exchange(self):
        rules = chart.one(chart.render(), "NetworkPolicy")["spec"]["ingress"]
        peers = {rule["ports"][0]["port"]: rule["from"] for rule in rules}
        self.assertEqual(peers.keys(), {"exchange", "management"})
        self.assertIn({"namespaceSelector": {}}, peers["exchange"])
        self.assertTrue(all(peer["podSelector"]["matchLabels"] for peer in peers["management"]))

    def test_is_a_service_of_its_own(self):
        services = [r for r in chart.render() if r["kind"] == "Service"]
        ports = {s["metadata"]["name"]: [port["name"] for port in s["spec"]["ports"]] for s in services}
        self.assertEqual(ports, {"jwtlet": ["exchange"], "jwtlet-management": ["management"]})


class Monitoring(unittest.TestCase):
    def test_has_the_alerts_of_the_repository(self):
        rule = chart.one(chart.render(file=chart.CHART / "ci/production-values.yaml"), "PrometheusRule")
        alerts = yaml.safe_load((chart.REPOSITORY / "deploy/prometheus/alerts.yaml").read_text())
        self.assertTrue(alerts["groups"][0]["rules"])
        self.assertEqual(rule["spec"], alerts)

    def test_scrapes_the_management_port_over_tls_when_there_is_tls(self):
        monitor = chart.one(chart.render(file=chart.CHART / "ci/cert-manager-values.yaml"), "ServiceMonitor")
        endpoint = monitor["spec"]["endpoints"][0]
        self.assertEqual((endpoint["port"], endpoint["path"], endpoint["scheme"]), ("management", "/metrics", "https"))
        names = chart.one(chart.render(file=chart.CHART / "ci/cert-manager-values.yaml"), "Certificate")["spec"]["dnsNames"]
        self.assertIn(endpoint["tlsConfig"]["serverName"], names)


class ThePolicyJob(unittest.TestCase):
    def setUp(self):
        self.resources = chart.render(file=chart.CHART / "ci/cert-manager-values.yaml")
        self.job = chart.one(self.resources, "Job")
        self.pod = manifests.pod_of(self.job)

    def test_runs_after_installation_and_upgrade(self):
        self.assertEqual(self.job["metadata"]["annotations"]["helm.sh/hook"], "post-install,post-upgrade")

    def test_may_write_policy_and_has_a_token_for_nothing_else(self):
        text, _ = chart.configuration(self.resources)
        config = tomllib.loads(text)
        self.assertEqual(config["service_accounts"], {"system:serviceaccount:identity:jwtlet-policy": ["management:write"]})
        self.assertEqual((self.pod["serviceAccountName"], self.pod["automountServiceAccountToken"]), ("jwtlet-policy", False))
        tokens = next(v for v in self.pod["volumes"] if v["name"] == "tokens")["projected"]["sources"]
        self.assertEqual(tokens[0]["serviceAccountToken"]["audience"], config["management"]["client_audience"])

    def test_gives_the_command_arguments_and_documents_that_it_accepts(self):
        rendered = [chart.render(file=file) for file in EVERY_SET]
        jobs = [resources for resources in rendered if any(resource["kind"] == "Job" for resource in resources)]
        self.assertGreaterEqual(len(jobs), 3)
        for resources in jobs:
            name = chart.one(resources, "Job")["metadata"]["name"]
            status, message = chart.apply_policy(resources, name)
            # It has read everything, and nobody is there to whom it could be sent.
            self.assertEqual(status, 11, message)

    def test_whose_documents_are_wrong_fails_before_anything_is_sent(self):
        values = {"policy": {"documents": {"a.yaml": {"kind": "ScopeMaping", "scope": "read", "claims": {}}}}}
        status, message = chart.apply_policy(chart.render(values), "jwtlet-policy")
        self.assertEqual(status, 50, message)

    def test_gets_the_authority_and_not_the_private_key(self):
        ca = next(v for v in self.pod["volumes"] if v["name"] == "ca")
        self.assertEqual([item["key"] for item in ca["secret"]["items"]], ["ca.crt"])


if __name__ == "__main__":
    unittest.main()
