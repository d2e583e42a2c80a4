-- Every metric of every cell of every run: n, median and the 95 % interval of the median.
--
-- {runs:String} is a glob of run folders, such as bench-results/* or collected/hosts/*. For an object store write
-- s3('https://BUCKET/collected/hosts/*/samples.jsonl', KEY, SECRET, 'JSONEachRow', …) for file(…), and the rest stays.
--
-- The median is the mean of the two middle values for an even n, as in summary.json; ClickHouse's own quantileExact
-- returns one of them. Ranks by the normal approximation of the binomial: within one rank of the exact ones from n = 20 on.
WITH
    cell AS (
        SELECT replaceRegexpOne(_path, '/[^/]*$', '') AS folder, asked, cell
        FROM file(
            {runs:String} || '/run.json', 'JSONEachRow',
            'cells Array(Tuple(runtime String, scenario String, params String, arm String))'
        )
        ARRAY JOIN cells AS asked, arrayEnumerate(cells) AS cell
    ),
    trial AS (
        SELECT replaceRegexpOne(_path, '/[^/]*$', '') AS folder, cell + 1 AS cell, metric, value
        FROM file(
            {runs:String} || '/samples.jsonl', 'JSONEachRow',
            'cell UInt32, block UInt32, warmup Bool, values Map(String, Float64)'
        )
        ARRAY JOIN mapKeys(values) AS metric, mapValues(values) AS value
        -- Warm-up trials belong to no block; failed trials have no values.
        WHERE NOT warmup
    ),
    metric AS (
        SELECT folder, cell, metric, count() AS n, arraySort(groupArray(value)) AS v FROM trial GROUP BY folder, cell, metric
    )
SELECT
    folder, asked.runtime AS runtime, asked.scenario AS scenario, asked.params AS params, metric, n,
    (v[intDiv(n + 1, 2)] + v[intDiv(n, 2) + 1]) / 2 AS median,
    toUInt64(greatest(1, floor(n / 2 - 0.9799819922700269 * sqrt(n)))) AS low,
    -- Not even an interval below six.
    if(n >= 6, v[low], NULL) AS low95,
    if(n >= 6, v[n + 1 - low], NULL) AS high95
FROM metric INNER JOIN cell USING (folder, cell)
-- Controls answer for the method and not for a runtime.
WHERE asked.arm = ''
ORDER BY folder, cell, metric
SETTINGS input_format_json_read_objects_as_strings = 1, input_format_skip_unknown_fields = 1;
