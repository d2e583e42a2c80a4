-- Classes of a fleet side by side: the ratio to the plain process of the same host, over hosts.
--
-- {runs:String} is a glob of run folders, such as collected/hosts/*. For an object store write
-- s3('https://BUCKET/collected/hosts/*/samples.jsonl', KEY, SECRET, 'JSONEachRow', …) for file(…), and the rest stays.
--
-- Pairs are made within a block of one host; a host counts once, as the median of its log-ratios; the estimate is their
-- mean, and the interval draws whole hosts again and again. It is a plain percentile bootstrap: from fewer than about
-- fifty hosts it is narrower than isomark's own, which expands the percentiles. Times and rates only: sizes may be zero.
WITH
    cell AS (
        SELECT replaceRegexpOne(_path, '/[^/]*$', '') AS folder, labels['class'] AS class, asked, cell
        FROM file(
            {runs:String} || '/run.json', 'JSONEachRow',
            'labels Map(String, String), cells Array(Tuple(runtime String, scenario String, params String, arm String, metrics Array(Tuple(name String, unit String))))'
        )
        ARRAY JOIN cells AS asked, arrayEnumerate(cells) AS cell
    ),
    trial AS (
        SELECT replaceRegexpOne(_path, '/[^/]*$', '') AS folder, cell + 1 AS cell, block, metric, value
        FROM file(
            {runs:String} || '/samples.jsonl', 'JSONEachRow',
            'cell UInt32, block UInt32, warmup Bool, values Map(String, Float64)'
        )
        ARRAY JOIN mapKeys(values) AS metric, mapValues(values) AS value
        WHERE NOT warmup
    ),
    value AS (
        SELECT
            folder, class, asked.runtime AS runtime, asked.scenario AS scenario, asked.params AS params, metric, block, value
        FROM trial INNER JOIN cell USING (folder, cell)
        WHERE asked.arm = ''
          AND arrayFirst(m -> m.1 = metric, asked.metrics).2 IN ('ns', 'flop/s', 'byte/s', 'call/s')
    ),
    host AS (
        SELECT
            x.folder AS folder, x.class AS class, x.runtime AS runtime, x.scenario AS scenario, x.params AS params,
            x.metric AS metric, arraySort(groupArray(log(x.value / base.value))) AS d, count() AS n
        FROM (SELECT * FROM value WHERE runtime <> 'process') AS x
        INNER JOIN (SELECT * FROM value WHERE runtime = 'process') AS base
            ON x.folder = base.folder AND x.scenario = base.scenario AND x.params = base.params
            AND x.metric = base.metric AND x.block = base.block
        GROUP BY folder, class, runtime, scenario, params, metric
    ),
    class AS (
        SELECT
            class, runtime, scenario, params, metric, count() AS hosts, sum(n) AS pairs,
            arrayMap(h -> h.2, arraySort(groupArray((folder, (d[intDiv(n + 1, 2)] + d[intDiv(n, 2) + 1]) / 2)))) AS middles,
            -- Host number k of resample i, by a hash instead of a random number: the same answer every time.
            arrayMap(
                i -> arrayAvg(arrayMap(k -> middles[1 + cityHash64(i, k, class, runtime) % length(middles)], range(length(middles)))),
                range(2000)
            ) AS drawn
        FROM host GROUP BY class, runtime, scenario, params, metric
    )
SELECT
    class, runtime, scenario, params, metric, hosts, pairs, exp(arrayAvg(middles)) AS ratio,
    if(hosts >= 5, exp(arrayReduce('quantileExactInclusive(0.025)', drawn)), NULL) AS low95,
    if(hosts >= 5, exp(arrayReduce('quantileExactInclusive(0.975)', drawn)), NULL) AS high95
FROM class
ORDER BY class, runtime, scenario, params, metric
SETTINGS input_format_json_read_objects_as_strings = 1, input_format_skip_unknown_fields = 1;
