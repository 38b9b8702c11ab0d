#!/usr/bin/env bash
# Plans, for a pull request: the plan in Markdown goes into the step summary, the plan itself and its digest into plan/.
# Ends with 0 when there is a plan, whether or not it changes anything (`changes` among the outputs says that).
# usage: plan.sh [option of zkprov]...
set -euo pipefail
summary=${GITHUB_STEP_SUMMARY:-/dev/stderr}
outputs=${GITHUB_OUTPUT:-/dev/null}

rm -rf plan
mkdir plan
status=0
zkprov plan "$@" --format markdown --out plan/plan.json --detailed-exitcode >plan/plan.md || status=$?
cat plan/plan.md >>"$summary"

case $status in
  0) changes=false ;;
  2) changes=true ;;
  *)
    # Refused, or not everything could be read: nobody may apply that.
    rm -f plan/plan.json
    echo "**There is no plan to apply**: \`zkprov plan\` ended with $status. The log of this step says why." >>"$summary"
    echo "::error title=no plan::zkprov plan ended with $status"
    exit "$status"
    ;;
esac

(cd plan && sha256sum plan.json >plan.json.sha256)
{
  echo
  echo "Merging applies exactly this plan: \`plan.json\`, SHA-256 \`$(cut -d ' ' -f 1 plan/plan.json.sha256)\`."
} >>"$summary"
echo "changes=$changes" >>"$outputs"
