#!/usr/bin/env bash
# Fetches the plan that was reviewed into plan/: the one of the last successful run for the head of the pull request that
# this commit merged. Needs `gh` with GH_TOKEN, and GITHUB_REPOSITORY.
# usage: fetch.sh COMMIT
set -euo pipefail
commit=$1

head=$(gh api "repos/$GITHUB_REPOSITORY/commits/$commit/pulls" --jq '.[0].head.sha // empty')
if [[ -z $head ]]; then
  echo "::error title=no pull request::$commit was not merged from a pull request, so nobody reviewed a plan"
  exit 1
fi
run=$(gh run list --workflow zkprov.yml --event pull_request --commit "$head" --status success --limit 1 \
  --json databaseId --jq '.[0].databaseId // empty')
if [[ -z $run ]]; then
  echo "::error title=no plan::no successful run has planned $head"
  exit 1
fi
rm -rf plan
gh run download "$run" --name zkprov-plan --dir plan
