# /etc/default/orders of @@, read by its start script
NAME=@@
JAVA_OPTS="-Xmx512m -Dname=$NAME"
export DB_PASSWORD='bulla://@@/default-database/password'
API_TOKEN=bulla://@@/default-api/token
DAEMON_ARGS="--listen :8080 --secret \"{{ bulla://@@/default-api/secret }}\""
