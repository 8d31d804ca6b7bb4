# What happens on the root: the command runs with the environment and in the directory that it was given with.
. "$1/environment"
PATH=$PATH:/usr/sbin:/sbin
mkdir -p /run/netns
modprobe -a ipv6 tun
ip link set lo up
cd "$(cat "$1/directory")" && . "$1/command" >"$1/output" 2>&1 </dev/null
echo $? >"$1/status"
