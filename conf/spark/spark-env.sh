# Read by spark-submit before it starts Java; the set-up puts it beside Spark (.venv/.../pyspark/conf).
# On one machine Spark's pages, where they are switched on, are for that machine alone, as all else (local.conf); and a
# machine that does not know its own name, as some containers, can be used.
case " $* " in *conf/spark/local.conf*) : "${SPARK_LOCAL_IP:=127.0.0.1}" ;; esac
# Java does not use its archive of classes while a folder with files in it stands among its classes, as this one would.
if [ "$(ls "$SPARK_CONF_DIR")" = spark-env.sh ]; then SPARK_CONF_DIR="$SPARK_HOME/no-conf"; fi
