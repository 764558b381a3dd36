#!/usr/bin/env bash
# Lints the templates of docker/: CloudFormation with cfn-lint, where Python has
# it, and YAML that neither tool above it would read (aliases: CloudFormation
# takes none of them).
set -euo pipefail
cd "$(dirname "$0")"

if grep -nE '(:|-) +[&*][a-z]+( |$)' aws/batch.yaml; then
	echo "lint: aws/batch.yaml: CloudFormation knows no YAML anchors and aliases" >&2
	exit 1
fi
if command -v cfn-lint >/dev/null; then
	cfn-lint aws/batch.yaml
	echo "lint: aws/batch.yaml is fine"
else
	echo "lint: aws/batch.yaml skipped, cfn-lint is not here (pip install cfn-lint)"
fi
