#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts a Flink session cluster straight from the jars of the apache-flink-libraries wheel, which
# carries no start scripts. Usage: cluster.sh start [taskmanagers] | tm | stop
# env: FLINK_HOME (folder with lib/ and bin/), RUN (work folder), TM_MEM (4g), SLOTS (2),
#      REST (18081), RPC (16123), MANAGED (0.05: fraction of managed memory; the heap backend needs none),
#      FLINK_OPTS (extra -Dkey=value), JAVA (java)
set -e
: "${FLINK_HOME:?}" "${RUN:?}"; TM_MEM=${TM_MEM:-4g}; SLOTS=${SLOTS:-2}; REST=${REST:-18081}; RPC=${RPC:-16123}; JAVA=${JAVA:-java}; MANAGED=${MANAGED:-0.05}
mkdir -p "$RUN/conf" "$RUN/log" "$RUN/ckpt" "$RUN/tmp"
cat > "$RUN/conf/log4j.properties" <<X
rootLogger.level = ${LOGLEVEL:-WARN}
rootLogger.appenderRef.c.ref = C
logger.ck.name = org.apache.flink.runtime.checkpoint.CheckpointCoordinator
logger.ck.level = INFO
logger.eg.name = org.apache.flink.runtime.executiongraph.ExecutionGraph
logger.eg.level = INFO
appender.c.name = C
appender.c.type = CONSOLE
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d{HH:mm:ss.SSS} %-5p %c{1} %m%n
X
cat > "$RUN/conf/config.yaml" <<X
jobmanager.rpc.address: localhost
X
OPENS=""
for m in net nio lang lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do OPENS="$OPENS --add-opens=java.base/java.$m=ALL-UNNAMED"; done
for m in sun.net.util sun.security.action sun.nio.ch; do OPENS="$OPENS --add-exports=java.base/$m=ALL-UNNAMED --add-opens=java.base/$m=ALL-UNNAMED"; done
DYN="-Djobmanager.rpc.address=localhost -Djobmanager.rpc.port=$RPC -Drest.port=$REST -Drest.address=localhost -Dtaskmanager.numberOfTaskSlots=$SLOTS -Dtaskmanager.memory.process.size=$TM_MEM -Dtaskmanager.memory.managed.fraction=$MANAGED -Djobmanager.memory.process.size=1600m -Dexecution.checkpointing.dir=file://$RUN/ckpt -Dexecution.checkpointing.savepoint-dir=file://$RUN/ckpt -Dio.tmp.dirs=$RUN/tmp -Dtaskmanager.host=localhost $FLINK_OPTS"
CP="$FLINK_HOME/lib/*"
tm() {
  P=$($JAVA -cp "$FLINK_HOME/bin/bash-java-utils.jar:$CP" org.apache.flink.runtime.util.bash.BashJavaUtils GET_TM_RESOURCE_PARAMS --configDir "$RUN/conf" $DYN 2>/dev/null | sed -n 's/^BASH_JAVA_UTILS_EXEC_RESULT://p')
  JVM=$(echo "$P" | head -1); RES=$(echo "$P" | tail -1)
  N=$(ls "$RUN"/tm*.pid 2>/dev/null | wc -l)
  $JAVA -XX:+UseG1GC $JVM $OPENS -XX:+IgnoreUnrecognizedVMOptions -Dlog4j.configurationFile="$RUN/conf/log4j.properties" -cp "$CP" org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$RUN/conf" $RES $DYN > "$RUN/log/tm$N.log" 2>&1 &
  echo $! > "$RUN/tm$N.pid"
}
case "$1" in
  start)
    rm -f "$RUN"/*.pid
    $JAVA -Xmx1073741824 -Xms1073741824 -XX:MaxMetaspaceSize=268435456 $OPENS -Dlog4j.configurationFile="$RUN/conf/log4j.properties" -cp "$CP" org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint --configDir "$RUN/conf" $DYN > "$RUN/log/jm.log" 2>&1 &
    echo $! > "$RUN/jm.pid"
    for i in $(seq ${2:-1}); do tm; done
    for i in $(seq 900); do curl -s "http://localhost:$REST/overview" 2>/dev/null | grep -q "\"taskmanagers\":${2:-1}," && break; sleep 0.1; done
    curl -sf "http://localhost:$REST/overview" || { tail -5 "$RUN"/log/*.log >&2; exit 1; }; echo;;
  tm) tm;;
  stop) for f in "$RUN"/*.pid; do kill $(cat "$f") 2>/dev/null || true; done; sleep 1; for f in "$RUN"/*.pid; do kill -9 $(cat "$f") 2>/dev/null || true; rm -f "$f"; done;;
esac
