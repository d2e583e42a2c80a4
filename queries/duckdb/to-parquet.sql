-- All values of many runs as one Parquet file: a tenth of the size of the text, and read several times as fast.
--
-- SET VARIABLE runs = 'bench-results/*';
--
-- Reads the tidy samples.csv of each folder (isomark report writes it). Columns as in its heading, and the folder.
COPY (
    SELECT regexp_replace(filename, '/[^/]*$', '') AS folder, * EXCLUDE (filename)
    FROM read_csv(
        getvariable('runs') || '/samples.csv', header = true, filename = true,
        types = {
            'block': 'INTEGER', 'warmup': 'BOOLEAN', 'at_ns': 'BIGINT', 'value': 'DOUBLE', 'failed_in': 'VARCHAR',
            'failure': 'VARCHAR', 'message': 'VARCHAR', 'arm': 'VARCHAR', 'params': 'VARCHAR'
        }
    )
    ORDER BY folder, block
) TO 'samples.parquet' (FORMAT parquet, COMPRESSION zstd);
