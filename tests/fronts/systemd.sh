#!/bin/sh
# Starts a service in a systemd of its own: `systemd.sh UNITS FILES UNIT OUT`, in new namespaces with the
# units of the folder UNITS and, in the place of /etc, /usr/local/bin and /var, what FILES has there.
# The folder OUT gets what there is to tell; nothing else is left behind.
#
#   exit 77   this machine allows no such namespaces
set -eu
if [ "$1" != inside ]; then
    [ "$(id -u)" = 0 ] && [ -x /lib/systemd/systemd ] || exit 77
    unshare -m -p -f -C -u -i --mount-proc true 2>/dev/null || exit 77
    # A control group of its own: two such systemds would stop each other's services.
    mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    [ -n "$mount" ] || exit 77
    around=$mount$(sed -n 's/^0:://p' /proc/self/cgroup)
    group=$around/front-$$
    { mkdir "$group" && echo 0 >"$group/cgroup.procs"; } 2>/dev/null || exit 77
    status=0
    timeout --signal=KILL 90 \
        unshare -m -p -f -C -u -i --mount-proc --kill-child "$0" inside "$@" || status=$?
    echo 0 >"$around/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} \;
    exit "$status"
fi
units=$2 files=$3 unit=$4 out=$5
mount -t tmpfs tmpfs /run
mkdir -p /run/files /run/systemd/system/front.target.wants
cp -a "$files/." /run/files
cp -a /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache /run/files/etc
for folder in etc usr/local/bin var; do
    mount --bind "/run/files/$folder" "/$folder"
done
cp "$units"/*.service /run/systemd/system
# No other units than these, and no settings of the kernel, so that nothing is done to the machine.
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for target in basic front shutdown sysinit; do
    printf '[Unit]\nDefaultDependencies=no\n' >"/run/systemd/system/$target.target"
done
cp /run/systemd/system/front.target /run/systemd/system/front.service
cat >>/run/systemd/system/front.service <<END
[Service]
Type=oneshot
Environment=unit=$unit out=$out
ExecStart=/bin/sh /run/front
END
ln -s ../front.service /run/systemd/system/front.target.wants
mkdir /run/systemd/system/service.d
printf '[Service]\nStandardOutput=append:%s/%%n\nStandardError=inherit\n' "$out" >/run/systemd/system/service.d/out.conf
cat >/run/front <<'END'
systemctl start "$unit"
echo $? >"$out/started"
while systemctl is-active -q "$unit"; do sleep 0.1; done
systemctl show -p ExecMainStatus --value "$unit" >"$out/status"
ls -A /run/app-secrets >"$out/rendered" 2>&1
systemctl stop '*-secrets.service'
ls -A /run/app-secrets >"$out/left" 2>&1
systemctl --force exit
END
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# Else the folder of credentials stays empty.
mount --make-rshared /
exec env container=lxc SYSTEMD_UNIT_PATH=/run/systemd/system /lib/systemd/systemd --system \
    --unit=front.target --log-target=console --log-level=notice --show-status=0 </dev/null >"$out/log" 2>&1
