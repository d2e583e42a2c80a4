-- Every metric of every cell of every run: n, median and the 95 % interval of the median.
--
-- SET VARIABLE runs = 'bench-results/*';      -- a glob of run folders, or collected/hosts/*
--
-- The median is the mean of the two middle values for an even n, and the interval stands between two ranks, as in
-- summary.json. Ranks by the normal approximation of the binomial: within one rank of the exact ones from n = 20 on.
-- Times and sizes are rounded to whole ns and bytes there, and here are not.
WITH cell AS (
    SELECT
        regexp_replace(filename, '/[^/]*$', '') AS folder,
        unnest(cells) AS asked,
        generate_subscripts(cells, 1) - 1 AS cell
    FROM read_json(
        getvariable('runs') || '/run.json',
        -- Explicit columns: finding them out would hold every file open at once.
        columns = { cells: 'STRUCT(runtime VARCHAR, scenario VARCHAR, params JSON, arm JSON)[]' },
        format = 'unstructured', maximum_object_size = 67108864, filename = true
    )
),
trial AS (
    SELECT regexp_replace(filename, '/[^/]*$', '') AS folder, cell, unnest(map_entries("values")) AS entry
    FROM read_json(
        getvariable('runs') || '/samples.jsonl',
        columns = { cell: 'INTEGER', block: 'INTEGER', warmup: 'BOOLEAN', "values": 'MAP(VARCHAR, DOUBLE)' },
        format = 'newline_delimited', filename = true
    )
    -- Warm-up trials belong to no block; failed trials have no values and are rows with a reason instead.
    WHERE NOT coalesce(warmup, false) AND "values" IS NOT NULL
),
metric AS (
    SELECT folder, cell, entry.key AS metric, count(*) AS n, list_sort(list(entry.value)) AS v
    FROM trial GROUP BY ALL
),
ranked AS (
    SELECT *, greatest(1, floor(n / 2.0 - 0.9799819922700269 * sqrt(n)))::BIGINT AS low FROM metric
)
SELECT
    folder, asked.runtime AS runtime, asked.scenario AS scenario, asked.params AS params, metric, n,
    (v[(n + 1) // 2] + v[n // 2 + 1]) / 2 AS median,
    -- Not even an interval below six.
    CASE WHEN n >= 6 THEN v[low] END AS low95,
    CASE WHEN n >= 6 THEN v[n + 1 - low] END AS high95
FROM ranked JOIN cell USING (folder, cell)
-- Controls answer for the method and not for a runtime.
WHERE asked.arm IS NULL
ORDER BY folder, cell, metric;
