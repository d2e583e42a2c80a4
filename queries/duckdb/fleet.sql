-- Classes of a fleet side by side: the ratio to the plain process of the same host, over hosts.
--
-- SET VARIABLE runs = 'collected/hosts/*';
--
-- Pairs are made within a block of one host; a host counts once, as the median of its log-ratios; the estimate is their
-- mean, and the interval draws whole hosts again and again. It is a plain percentile bootstrap: from fewer than about
-- fifty hosts it is narrower than isomark's own, which expands the percentiles. Times and rates only: sizes may be zero.
WITH run AS (
    SELECT regexp_replace(filename, '/[^/]*$', '') AS folder, labels.class AS class, cells
    FROM read_json(
        getvariable('runs') || '/run.json',
        columns = {
            labels: 'STRUCT(class VARCHAR)',
            cells: 'STRUCT(runtime VARCHAR, scenario VARCHAR, params JSON, arm JSON, metrics STRUCT(name VARCHAR, unit VARCHAR)[])[]'
        },
        format = 'unstructured', maximum_object_size = 67108864, filename = true
    )
),
cell AS (
    SELECT folder, class, unnest(cells) AS asked, generate_subscripts(cells, 1) - 1 AS cell FROM run
),
trial AS (
    SELECT regexp_replace(filename, '/[^/]*$', '') AS folder, cell, block, unnest(map_entries("values")) AS entry
    FROM read_json(
        getvariable('runs') || '/samples.jsonl',
        columns = { cell: 'INTEGER', block: 'INTEGER', warmup: 'BOOLEAN', "values": 'MAP(VARCHAR, DOUBLE)' },
        format = 'newline_delimited', filename = true
    )
    WHERE NOT coalesce(warmup, false) AND "values" IS NOT NULL
),
value AS (
    SELECT
        folder, class, asked.runtime AS runtime, asked.scenario AS scenario, asked.params::VARCHAR AS params,
        entry.key AS metric, block, entry.value AS value
    FROM trial JOIN cell USING (folder, cell)
    WHERE asked.arm IS NULL
      AND list_filter(asked.metrics, lambda m: m.name = entry.key)[1].unit IN ('ns', 'flop/s', 'byte/s', 'call/s')
),
host AS (
    SELECT
        x.folder, x.class, x.runtime, x.scenario, x.params, x.metric,
        list_sort(list(ln(x.value / base.value))) AS d, count(*) AS n
    FROM value AS x
    JOIN value AS base USING (folder, scenario, params, metric, block)
    WHERE base.runtime = 'process' AND x.runtime <> 'process'
    GROUP BY ALL
),
class AS (
    SELECT
        class, runtime, scenario, params, metric, count(*)::BIGINT AS hosts, sum(n)::BIGINT AS pairs,
        list((d[(n + 1) // 2] + d[n // 2 + 1]) / 2 ORDER BY folder) AS middles
    FROM host GROUP BY ALL
),
drawn AS (
    -- Host number k of resample i, by a hash instead of a random number: the same answer every time.
    SELECT class, runtime, scenario, params, metric, i, avg(middles[1 + (hash(i, k, class, runtime) % hosts)::BIGINT]) AS mean
    FROM class, range(2000) AS resample(i), unnest(range(hosts)) AS place(k)
    GROUP BY ALL
),
bounds AS (
    SELECT class, runtime, scenario, params, metric, exp(quantile_cont(mean, 0.025)) AS low95, exp(quantile_cont(mean, 0.975)) AS high95
    FROM drawn GROUP BY ALL
)
SELECT
    class, runtime, scenario, params, metric, hosts, pairs, exp(list_avg(middles)) AS ratio,
    CASE WHEN hosts >= 5 THEN low95 END AS low95, CASE WHEN hosts >= 5 THEN high95 END AS high95
FROM class JOIN bounds USING (class, runtime, scenario, params, metric)
ORDER BY ALL;
