"""What `kubectl kustomize` renders keeps the promises of docs/ARCHITECTURE.md §3 and of k8s/README.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gov_services.audit.app import create_router
from gov_services.cli.deployables import PUBLIC_PATHS
from gov_services.cli.key_sets import KEY_SETS
from gov_services.cli.rooms import SUBGRAPHS
from gov_services.healthcode import routes as healthcode
from gov_services.identity import routes as identity
from gov_services.kit.settings import PROJECT_ROOT, load_settings
from gov_services.payments import webhook
from gov_services.permits import routes as permits
from gov_services.privacy import face_routes as privacy_faces
from gov_services.privacy import routes as privacy
from gov_services.privacy.consent_bb import routes as consent_bb

pytestmark = pytest.mark.untraced

Manifest = dict[str, Any]

OVERLAYS = ("staging", "production")
LISTEN = ["--host", "0.0.0.0", "--port", "8000"]
COMMANDS = {
    "gateway": ["gateway", *LISTEN],
    **{name: ["subgraph", name, *LISTEN] for name in SUBGRAPHS},
    "log": ["log", *LISTEN],
    "worker": ["worker", *LISTEN],
}
# The table of the architecture calls it by its room, the command by what it is.
ALSO_CALLED = {"audit": "log"}
NOT_YET = {"console"}
SCALED = {"gateway", *SUBGRAPHS}
NOTHING: Any = None
"""Routes are made over what they will call, which nobody does here."""
OF_ROOMS = {
    "identity": [route.path for route in identity.routes(NOTHING, NOTHING)],
    "permits": [route.path for route in permits.routes(NOTHING, NOTHING)],
    "payments": [webhook.PATH],
    "healthcode": [route.path for route in healthcode.routes(NOTHING)],
    "privacy": [
        route.path
        for route in (
            *privacy.routes(NOTHING),
            *privacy_faces.routes(NOTHING, NOTHING),
            *consent_bb.routes(NOTHING, NOTHING),
        )
    ],
    "log": [route.path_format for route in create_router(NOTHING, NOTHING, origin="").routes],
    "gateway": ["/graphql"],
}
ROUTES = {(re.sub(r"\{.*\}", "any", path), name) for name, paths in OF_ROOMS.items() for path in paths}
INTERNAL = ("/", "/work", "/events", "/jobs", "/jobs/any", "/refusals", "/healthz", "/readyz", "/metrics", "/sandbox/")


class Rendered:
    """The objects of an overlay, by kind and name."""

    def __init__(self, objects: list[Manifest]) -> None:
        self.objects = objects
        self.settings = self.of("ConfigMap")[next(iter(self.of("ConfigMap")))]["data"]
        self.deployments = self.of("Deployment")
        self.pods = {name: item["spec"]["template"] for name, item in self.deployments.items()}
        self.pods["migration"] = self.of("Job")["migration"]["spec"]["template"]
        self.policies = self.of("NetworkPolicy")

    def of(self, kind: str) -> dict[str, Manifest]:
        """Everything of a kind, by name."""
        return {item["metadata"]["name"]: item for item in self.objects if item["kind"] == kind}

    def labels(self, name: str) -> dict[str, str]:
        """Those of a pod."""
        labels: dict[str, str] = self.pods[name]["metadata"]["labels"]
        return labels

    def chosen_by(self, selector: Manifest) -> set[str]:
        """The pods that a selector by labels means."""
        wanted = selector.get("matchLabels", {}).items()
        return {name for name in self.pods if wanted <= self.labels(name).items()}

    def backends(self, path: str) -> set[str]:
        """The Services that the Ingress routes a path to."""
        rules = [rule for item in self.of("Ingress").values() for rule in item["spec"]["rules"]]
        return {
            item["backend"]["service"]["name"]
            for rule in rules
            for item in rule["http"]["paths"]
            if path == item["path"] or (item["pathType"] == "Prefix" and path.startswith(item["path"] + "/"))
        }


@pytest.fixture(scope="module", params=OVERLAYS)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """An overlay, as a cluster would get it."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not here; the manifests cannot be rendered")
    command = [kubectl, "kustomize", str(PROJECT_ROOT / "k8s" / "overlays" / request.param)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return Rendered([item for item in yaml.safe_load_all(done.stdout) if item])


def containers_of(pod: Manifest) -> Iterator[Manifest]:
    """The init containers of a pod and its own."""
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def test_every_deployable_of_the_architecture_is_deployed(rendered: Rendered) -> None:
    text = (PROJECT_ROOT / "docs" / "ARCHITECTURE.md").read_text()
    table = text.partition("| deployable |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| ([a-z]+) \|", table, re.MULTILINE)) - NOT_YET

    assert {ALSO_CALLED.get(name, name) for name in named} == set(COMMANDS)
    assert set(rendered.deployments) == set(COMMANDS)
    assert set(rendered.pods) == set(KEY_SETS) - {"author", "officer"}  # people, with machines of their own


def test_each_runs_its_command(rendered: Rendered) -> None:
    found = {name: pod["spec"]["containers"][0]["args"] for name, pod in rendered.pods.items()}
    assert found == {**COMMANDS, "migration": ["documents", "announce"]}

    before = {name: [item["args"][:2] for item in pod["spec"]["initContainers"]] for name, pod in rendered.pods.items()}
    place = ["keys", "place"]
    assert before == {
        **{name: [place] for name in COMMANDS},
        "migration": [place, ["db", "upgrade"], ["purposes", "publish"]],
    }


def test_the_migration_comes_before_a_sync_and_does_not_go_on_for_ever(rendered: Rendered) -> None:
    job = rendered.of("Job")["migration"]

    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    assert {"backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"} < set(job["spec"])
    # Nothing of ours is in the cluster before the first sync.
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    assert "gov-settings" not in yaml.dump(job)


def test_every_pod_has_three_probes_and_time_to_finish(rendered: Rendered) -> None:
    for name in rendered.deployments:
        pod = rendered.pods[name]["spec"]
        (server,) = pod["containers"]
        probes = {key: server[f"{key}Probe"]["httpGet"] for key in ("startup", "liveness", "readiness")}
        assert probes == {
            "startup": {"path": "/healthz", "port": "http"},
            "liveness": {"path": "/healthz", "port": "http"},
            "readiness": {"path": "/readyz", "port": "http"},
        }
        assert server["ports"] == [{"name": "http", "containerPort": 8000}]
        assert server["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
        assert pod["terminationGracePeriodSeconds"] == 45
        spread = pod["topologySpreadConstraints"]
        assert [item["topologyKey"] for item in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert all(rendered.chosen_by(item["labelSelector"]) == {name} for item in spread)


def test_every_pod_keeps_the_restricted_standard(rendered: Rendered) -> None:
    (namespace,) = rendered.of("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in rendered.pods.values():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for container in containers_of(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            resources = container["resources"]
            assert resources["limits"] == {"memory": resources["requests"]["memory"]}
            assert "cpu" in resources["requests"]
            assert re.fullmatch(r"registry\.example/gov-services[:@].+", container["image"])


def test_each_has_an_account_and_a_budget_of_its_own_and_some_an_autoscaler(rendered: Rendered) -> None:
    budgets = rendered.of("PodDisruptionBudget")
    assert set(rendered.of("ServiceAccount")) == set(budgets) == set(rendered.deployments)
    for name, item in rendered.deployments.items():
        assert item["spec"]["template"]["spec"]["serviceAccountName"] == name
        assert rendered.chosen_by(item["spec"]["selector"]) == {name}
        assert rendered.chosen_by(budgets[name]["spec"]["selector"]) == {name}
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        # One that says both would have its number undone by each deploy.
        assert ("replicas" in item["spec"]) == (name not in SCALED)
        assert item["spec"].get("replicas", 2) >= 2

    autoscalers = rendered.of("HorizontalPodAutoscaler")
    assert set(autoscalers) == SCALED
    for name, item in autoscalers.items():
        assert item["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert item["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
        assert 2 <= item["spec"]["minReplicas"] < item["spec"]["maxReplicas"]


def test_what_many_pods_mount_many_nodes_may_mount(rendered: Rendered) -> None:
    claims = rendered.of("PersistentVolumeClaim")
    assert set(claims) == {"permits-documents", "log-published"}
    assert {tuple(item["spec"]["accessModes"]) for item in claims.values()} == {("ReadWriteMany",)}
    mounted = {
        mount["mountPath"]
        for pod in rendered.pods.values()
        for container in containers_of(pod)
        for mount in container["volumeMounts"]
        if mount["name"] in ("documents", "published")
    }
    assert mounted == {"/var/lib/gov-services/documents", "/var/lib/gov-services/log"}


def test_nothing_passes_that_no_policy_names(rendered: Rendered) -> None:
    deny = rendered.policies["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    reach = {
        name: rendered.chosen_by(item["spec"]["podSelector"])
        for name, item in rendered.policies.items()
        if name != "default-deny"
    }
    assert reach == {
        "to-dns": set(rendered.pods),
        "from-ingress": {name for _, name in ROUTES},
        "from-callers": set(SUBGRAPHS),
        "to-rooms": {"gateway", "worker"},
        "to-database": {*SUBGRAPHS, "log", "worker", "migration"},
        "to-valkey": {"gateway", "worker", *SUBGRAPHS},
        "to-providers": {"identity", "payments", "privacy", "log"},
    }
    assert "192.0.2." not in yaml.dump(list(rendered.policies.values())), "an overlay gives the networks"


def test_every_service_is_reached_by_somebody(rendered: Rendered) -> None:
    let_in = {
        name
        for item in rendered.policies.values()
        if item["spec"].get("ingress")
        for name in rendered.chosen_by(item["spec"]["podSelector"])
    }
    services = rendered.of("Service")

    assert set(services) == let_in == set(COMMANDS) - {"worker"}
    for name, item in services.items():
        assert rendered.chosen_by({"matchLabels": item["spec"]["selector"]}) == {name}
        assert [(port["name"], port["port"]) for port in item["spec"]["ports"]] == [("http", 8000)]


def test_every_public_route_leads_to_its_deployable(rendered: Rendered) -> None:
    assert {(path, name) for path, _ in ROUTES for name in rendered.backends(path)} == ROUTES
    for path, name in PUBLIC_PATHS.items():
        assert any(route.startswith(path) and owner == name for route, owner in ROUTES), path


def test_no_internal_path_is_routed_from_outside(rendered: Rendered) -> None:
    assert {path: rendered.backends(path) for path in INTERNAL} == {path: set() for path in INTERNAL}
    assert rendered.backends("/graphql") == {"gateway"}
    for item in rendered.of("Ingress").values():
        assert "defaultBackend" not in item["spec"]
        for path in (path for rule in item["spec"]["rules"] for path in rule["http"]["paths"]):
            owned = (path["path"] + ("/" if path["pathType"] == "Prefix" else ""), path["backend"]["service"]["name"])
            assert any(owned[0].startswith(public) and owned[1] == name for public, name in PUBLIC_PATHS.items())


def test_citizens_reach_the_host_that_tokens_and_codes_name(rendered: Rendered) -> None:
    (ingress,) = rendered.of("Ingress").values()
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}

    assert {f"https://{host}" for host in hosts} == {rendered.settings["GOV_PUBLIC_URL"]}
    assert {host for item in ingress["spec"]["tls"] for host in item["hosts"]} == hosts


def test_each_mounts_its_own_secrets_and_no_others(rendered: Rendered) -> None:
    mounted = {
        name: {volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume}
        for name, pod in rendered.pods.items()
    }
    own = {name: {f"gov-{name}-keys"} for name in rendered.pods}
    for name in {*SCALED, "worker"}:
        own[name].add("gov-valkey")
    own["migration"].add("gov-database")

    assert mounted == own
    for pod in rendered.pods.values():
        modes = {volume["secret"]["defaultMode"] for volume in pod["spec"]["volumes"] if "secret" in volume}
        assert modes == {0o440}
        for container in containers_of(pod):
            # Only what puts the keys in place sees the Secret, and only it may write where they lie.
            mounts = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
            assert ("keys" in mounts) == (container["name"] == "keys")
            assert mounts["secrets"] is (container["name"] != "keys")


def test_no_secret_lies_in_the_tree(rendered: Rendered) -> None:
    assert rendered.of("Secret") == {}
    text = yaml.dump(rendered.objects)
    assert "PRIVATE KEY" not in text
    assert re.findall(r"://[^/\s]*@", text) == []
    for pod in rendered.pods.values():
        for variable in (item for container in containers_of(pod) for item in container["env"]):
            assert not re.search("PASSWORD|TOKEN|_KEY|SECRET(?!S_DIR)", variable["name"])
            assert "secretKeyRef" not in variable.get("valueFrom", {})


def test_the_product_knows_every_setting_it_is_given(rendered: Rendered) -> None:
    for name, pod in rendered.pods.items():
        given = {}
        for variable in pod["spec"]["containers"][0]["env"]:
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            given[variable["name"]] = rendered.settings[reference["key"]] if reference else variable["value"]
        known = {key: value for key, value in given.items() if not key.endswith("_FILE")}
        settings = load_settings(known)

        assert settings.environment == "production"
        assert {key for key in given if key.endswith("_FILE")} == {
            *(["VALKEY_URL_FILE"] if name in {*SCALED, "worker"} else []),
            *(["DATABASE_URL_FILE"] if name == "migration" else []),
        }
        assert bool(settings.database_url) == (name not in ("gateway", "migration"))
        rooms = {room: f"http://{room}:8000" for room in SUBGRAPHS} if name in ("gateway", "worker") else {}
        assert settings.addresses_of_rooms() == rooms
        assert settings.public_url == (
            rendered.settings["GOV_PUBLIC_URL"] if name in COMMANDS else load_settings({}).public_url
        )
