#include "boot.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* Not every kernel has every one of these files. */
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "gpaspec-guest: %s: %s\n", path, strerror(errno));
	close(fd);
}

static void load_modules(void)
{
	char line[256];
	FILE *list = fopen("/modules/order", "re");

	if (list == NULL)
		fatal("/modules/order: %s", strerror(errno));
	while (fgets(line, sizeof(line), list) != NULL) {
		char path[300];

		line[strcspn(line, "\n")] = '\0';
		char *parameters = strchr(line, ' ');
		if (parameters != NULL)
			*parameters++ = '\0';
		snprintf(path, sizeof(path), "/modules/%s", line);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fatal("%s: %s", path, strerror(errno));
		if (syscall(SYS_finit_module, fd, parameters != NULL ? parameters : "", 0) != 0 && errno != EEXIST)
			fatal("module %s cannot be loaded: %s", line, strerror(errno));
		close(fd);
	}
	fclose(list);
}

void boot(void)
{
	mkdir("/proc", 0755);
	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	if (mount("sys", "/sys", "sysfs", 0, NULL) != 0)
		fprintf(stderr, "gpaspec-guest: /sys cannot be mounted: %s\n", strerror(errno));
	if (mount("proc", "/proc", "proc", 0, NULL) != 0)
		fatal("/proc cannot be mounted: %s", strerror(errno));
	if (mount("dev", "/dev", "devtmpfs", 0, NULL) != 0 && errno != EBUSY)
		fatal("/dev cannot be mounted: %s", strerror(errno));
	load_modules();
	/* From here on every oops, warning and lock-up ends this machine at the vector that caused it. */
	write_file("/proc/sys/kernel/panic_on_oops", "1");
	write_file("/proc/sys/kernel/panic_on_warn", "1");
	write_file("/proc/sys/kernel/softlockup_panic", "1");
	write_file("/proc/sys/kernel/hung_task_panic", "1");
	/* A device that keeps the processor to itself for so many seconds is locked up (twice that many). */
	write_file("/proc/sys/kernel/watchdog_thresh", "5");
	/* A tap on which nobody speaks but us; and the errno of each failed translation in the kernel's log. */
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	write_file("/proc/dynamic_debug/control", "module vhost +p");
	write_file("/proc/dynamic_debug/control", "module vhost_net +p");
	/* What we write into the log is not to be held back. */
	write_file("/proc/sys/kernel/printk_devkmsg", "on\n");
	/* Large bitmaps are asked for and hardly used. */
	write_file("/proc/sys/vm/overcommit_memory", "1");
}

bool run_program(void)
{
	static char output[1 << 16];
	size_t used = 0;
	ssize_t got;
	int ends[2], status = -1;

	if (access("/program", X_OK) != 0)
		return false;
	if (pipe(ends) != 0)
		fatal("no pipe: %s", strerror(errno));
	pid_t child = fork();
	if (child < 0)
		fatal("no child process: %s", strerror(errno));
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		execl("/program", "program", (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	while (used < sizeof(output) && (got = read(ends[0], output + used, sizeof(output) - used)) > 0)
		used += (size_t)got;
	close(ends[0]);
	waitpid(child, &status, 0);
	send_frame(OUTPUT, WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 255, output, used);
	return true;
}

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

void give_up(const char *why)
{
	char line[256];

	snprintf(line, sizeof(line), "<1>BUG: %s\n", why);
	write_file("/dev/kmsg", line);
	write_file("/proc/sysrq-trigger", "w"); /* who waits for whom */
	write_file("/proc/sysrq-trigger", "l");
	power_off();
}

/* At a level that reaches the console. */
static void mark(const char *text)
{
	static int fd = -1;
	char line[64];

	if (getpid() != 1)
		return;
	if (fd < 0)
		fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	int length = snprintf(line, sizeof(line), "<4>gpaspec: %s\n", text);
	if (write(fd, line, (size_t)length) != length)
		fprintf(stderr, "gpaspec-guest: /dev/kmsg: %s\n", strerror(errno));
}

void mark_ready(void)
{
	mark("ready");
}

void mark_vector(uint32_t vector)
{
	char text[32];

	snprintf(text, sizeof(text), "vector %u", vector);
	mark(text);
}

static bool is_at(const char *name, uint32_t vector)
{
	const char *value = getenv(name);

	return getpid() == 1 && value != NULL && strtoul(value, NULL, 10) == vector;
}

void misbehave_at(uint32_t vector)
{
	if (is_at("GPASPEC_CRASH", vector))
		write_file("/proc/sysrq-trigger", "c");
	if (is_at("GPASPEC_ALARM", vector))
		write_file("/dev/kmsg", "<1>WARNING: asked for by a test\n");
	if (is_at("GPASPEC_HANG", vector))
		for (;;)
			pause();
}
