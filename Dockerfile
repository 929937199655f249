# The image for Spark on Kubernetes: docker build -t camoe:0.1.0 .   (without GPUs: --build-arg TORCH=cpu)
# conf/spark/kubernetes.conf names it; docs/cluster.md tells what of it has been run.
FROM apache/spark:4.0.1 AS spark

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3.11 python3.11-venv python3.11-dev g++ make openjdk-17-jdk-headless ca-certificates tini procps \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s "$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")" /opt/java \
    && useradd --uid 185 --create-home spark \
    && install --directory --owner spark /opt/camoe

# What Kubernetes starts a driver or an executor with. Spark itself is the one of the project's environment.
COPY --from=spark /opt/entrypoint.sh /opt/decom.sh /opt/
ENV JAVA_HOME=/opt/java SPARK_HOME=/opt/spark

USER spark
WORKDIR /opt/camoe
COPY --chown=spark . .
# Without the packages that only tests need. Delta's JARs come to lie beside Spark's own, in the environment.
ARG TORCH=cuda
RUN UV_NO_DEV=1 CAMOE_TORCH=$TORCH tools/setup.sh && rm -rf .tools ~/.cache

USER root
RUN ln -s /opt/camoe/.venv/lib/python3.11/site-packages/pyspark /opt/spark
USER spark
ENV PATH=/opt/camoe/.venv/bin:$PATH
ENTRYPOINT ["/opt/entrypoint.sh"]
