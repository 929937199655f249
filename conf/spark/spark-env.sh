# Read by spark-submit before it starts Java; the set-up puts it beside Spark (.venv/.../pyspark/conf).
# On one machine Spark's pages, where they are switched on, are for that machine alone, as all else (local.conf); and a
# machine that does not know its own name, as some containers, can be used.
# The files that Spark writes there follow the umask, as all others; alone, Hadoop takes 022.
case " $* " in *conf/spark/local.conf*)
    : "${SPARK_LOCAL_IP:=127.0.0.1}"
    SPARK_SUBMIT_OPTS="-Dspark.hadoop.fs.permissions.umask-mode=$(umask) ${SPARK_SUBMIT_OPTS-}" ;;
esac
# Java takes the bytes of file names and arguments for text of the locale: in any but a UTF-8 one it would write elsewhere.
case "${LC_ALL:-${LC_CTYPE:-${LANG-}}}" in *[Uu][Tt][Ff]*8) ;; *) LC_ALL=C.UTF-8 ;; esac
# Java does not use its archive of classes while a folder with files in it stands among its classes, as this one would.
if [ "$(ls "$SPARK_CONF_DIR")" = spark-env.sh ]; then SPARK_CONF_DIR="$SPARK_HOME/no-conf"; fi
