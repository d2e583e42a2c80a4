#!/bin/bash
# Fleet {{ name|raw }}, class {{ class|raw }}: one measurement on each of {{ replicas|raw }} hosts.
# Submit with: sbatch {{ file|raw }}
#
# One allocation with one task a node: an array would mean so many tasks somewhere, and not once per host.
#SBATCH --job-name=isomark-{{ name|raw }}-{{ class|raw }}
#SBATCH --nodes={{ replicas|raw }}
#SBATCH --ntasks-per-node=1
# The whole node: whoever shares it shares its caches, its memory bandwidth and its noise.
#SBATCH --exclusive
#SBATCH --mem={{ memory_mib|raw }}{% if memory_mib %}M{% endif %}
#SBATCH --time={{ minutes|raw }}
# When one node dies the others go on.
#SBATCH --no-kill
{% if requeue -%}
# Started again when a node dies: the restart count is part of each folder's name, and one folder a host is kept.
#SBATCH --requeue
{%- else -%}
# A node that was only silent may still be measuring: what is missing is told by isomark fleet collect, and asked for again.
#SBATCH --no-requeue
{%- endif %}
# Nothing of the submitting shell's environment reaches the measurement.
#SBATCH --export=NIL
#SBATCH --output=isomark-{{ name|raw }}-{{ class|raw }}-%j.log
{%- for pair in options %}
#SBATCH --{{ pair[0]|raw }}={{ pair[1]|raw }}
{%- endfor %}
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

{% include "measure.sh" %}

# The text of the function goes along: a node need not have this file. One host that fails does not end the others.
exec srun --wait=0 --kill-on-bad-exit=0 --no-kill --export=ALL \
    bash -c "$(declare -f measure)"'
measure "$SLURM_PROCID" "$SLURMD_NODENAME" "$SLURM_JOB_ID" "${SLURM_RESTART_COUNT:-0}"'
