#!/usr/bin/env bash
# Applies the plan in plan/, exactly that. Ends with 6, nothing changed, when the plan is stale.
# usage: apply.sh [option of zkprov]...
set -euo pipefail
summary=${GITHUB_STEP_SUMMARY:-/dev/stderr}

if ! (cd plan && sha256sum --check --status plan.json.sha256); then
  echo "::error title=not the reviewed plan::plan.json is not the file that the pull request planned; nothing was changed"
  exit 1
fi

status=0
zkprov apply plan/plan.json "$@" | tee plan/applied.txt || status=$?
case $status in
  0)
    {
      echo '### Applied'
      echo '```'
      cat plan/applied.txt
      echo '```'
    } >>"$summary"
    ;;
  6)
    echo "**Stale plan, nothing was changed.** The log of this step says what moved since the review. Open a pull request" \
      "that plans again." >>"$summary"
    echo "::error title=stale plan::the live state is not what was planned against; nothing was changed; plan again"
    ;;
  5 | 130 | 143)
    echo "**Partly applied** (exit code $status). Mend the cause that the log names, then plan again: what is done stays" \
      "done." >>"$summary"
    echo "::error title=partly applied::zkprov apply ended with $status"
    ;;
  *)
    echo "**Not applied**: \`zkprov apply\` ended with $status. The log of this step says why." >>"$summary"
    echo "::error title=not applied::zkprov apply ended with $status"
    ;;
esac
exit "$status"
