# Measures once on this host and leaves one folder: complete under its final name, or with .failed, or (killed) with .tmp.
# $1: the host's number within its class, from 0. $2: the node. $3: the job. $4: how often the engine began again.
measure() {
    set -eu
    umask 022
    index=$1 node=$2 job=$3 restart=$4
    # They become part of a name.
    case "$index$restart" in *[!0-9]*) echo "not numbers: $index $restart" >&2; return 2 ;; esac
    case "$node$job" in *[!A-Za-z0-9._-]* | "") echo "not names: $node $job" >&2; return 2 ;; esac
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    HOME=${HOME:-/root}
    export PATH HOME{% for pair in environment %}
    export {{ pair[0]|raw }}={{ pair[1] }}{% endfor %}
    isomark={{ isomark }}
    results={{ results }}
    final=$results/{{ class }}-$index.$node.j$job.r$restart
    mkdir -p "$results"
    # An attempt has one folder of its own: this ends here if it has been here before.
    if [ -e "$final" ] || [ -e "$final.failed" ]; then echo "$final is there already" >&2; return 2; fi
    mkdir "$final.tmp"
    status=0 ran=
    # Before it is run: only the isomark that was asked for.
    printf '%s  %s\n' {{ sha256 }} "$isomark" | sha256sum -c - >"$final.tmp/task.log" 2>&1 || status=6
    plan={{ plan }}{% if plan_text %}
    plan=$final.tmp/plan.toml
    cat >"$plan" <<'ISOMARK_PLAN'
{{ plan_text|raw }}
ISOMARK_PLAN{% endif %}
    [ "$status" != 0 ] || ran=yes
    [ -z "$ran" ] || "$isomark" run --quiet --plan "$plan" --seed $(({{ seed|raw }} + index)) \
        --time-budget {{ budget_s|raw }}s --out "$final.tmp" --binary {{ sha256 }}{% if runs %} --runs {{ runs|raw }}{% endif %} \
{%- for one in runtimes %}
        --runtime {{ one }} \
{%- endfor %}{% for one in scenarios %}
        --scenario {{ one }} \
{%- endfor %}{% for one in require %}
        --require {{ one }} \
{%- endfor %}
        --label fleet={{ name }} --label class={{ class }} --label task="$index/{{ replicas|raw }}" \
        --label node="$node" --label job="$job" --label restart="$restart" --label engine={{ engine }} \
        >"$final.tmp/task.log" 2>&1 </dev/null || status=$?
    # Instances die with isomark; what else it made is taken away here, if it was killed. No process is left behind.
    [ "$status" = 0 ] || [ -z "$ran" ] || "$isomark" clean >>"$final.tmp/task.log" 2>&1 </dev/null || true
    echo "$status" >"$final.tmp/status"
    if [ "$status" = 0 ]; then
        # Whoever finds the final name finds a whole folder.
        mv "$final.tmp" "$final"
    else
        mv "$final.tmp" "$final.failed"
        tail -n 20 "$final.failed/task.log" >&2
    fi
    return "$status"
}
