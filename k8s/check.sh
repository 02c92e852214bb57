#!/bin/sh
# Renders the base and every overlay, and validates what came out against the schemas of the oldest Kubernetes that serves.
# A misspelt field is only seen by --strict. Without kubectl only what is whole in its file can be validated.
set -eu
cd "$(dirname -- "$0")"
validate() { "${KUBERNETES_VALIDATE:-kubernetes-validate}" --kubernetes-version 1.32 --strict --quiet "$@"; }
if ! command -v kubectl >/dev/null; then
  echo "k8s: skipped rendering, there is no kubectl; only what is whole in its file is validated"
  find base -name '*.yaml' ! -name kustomization.yaml ! -name deployment.yaml ! -name pod.yaml | sort | while read -r file; do
    validate "$file" || exit 1
  done
  exit
fi
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for part in base overlays/*; do
  kubectl kustomize "$part" >"$rendered/$(basename "$part").yaml"
done
validate "$rendered"/*.yaml
echo "k8s: $(cd "$rendered" && echo *) are valid"
