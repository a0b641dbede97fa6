// SPDX-License-Identifier: Apache-2.0
// quadrature PULL_A PULL_B EDGES_PER_SECOND EDGES BOUNCES: turns a rotary encoder of gpio-sim by writing the `pull`
// attributes of its two lines, from where they are. EDGES above zero: line A leads; below: line B leads.
// BOUNCES: how often a contact opens again before it rests, 100 us apart. Prints one line of JSON.
// A program of its own, because Node cannot keep the rate.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000L
#define BOUNCE_NS 100000L

struct line {
	int fd;
	int isHigh;
};

static int open_line(struct line *line, const char *path)
{
	char pull[16] = "";

	line->fd = open(path, O_RDWR);
	if (line->fd < 0 || pread(line->fd, pull, sizeof(pull) - 1, 0) < 0) {
		perror(path);
		return -1;
	}
	line->isHigh = strncmp(pull, "pull-up", 7) == 0;
	return 0;
}

static int toggle(struct line *line)
{
	const char *pull = line->isHigh ? "pull-down" : "pull-up";

	line->isHigh = !line->isHigh;
	return pwrite(line->fd, pull, strlen(pull), 0) < 0 ? -1 : 0;
}

static void advance(struct timespec *time, long nanoseconds)
{
	time->tv_nsec += nanoseconds;
	while (time->tv_nsec >= NANOSECONDS) {
		time->tv_nsec -= NANOSECONDS;
		time->tv_sec++;
	}
}

static double since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / NANOSECONDS;
}

int main(int count, char **arguments)
{
	struct line a, b;
	struct timespec start, due, pause;
	double worst = 0;
	long step, edges, bounces;

	if (count != 6 || atof(arguments[3]) <= 0) {
		fprintf(stderr, "usage: quadrature PULL_A PULL_B EDGES_PER_SECOND EDGES BOUNCES\n");
		return 2;
	}
	if (open_line(&a, arguments[1]) < 0 || open_line(&b, arguments[2]) < 0)
		return 1;
	step = NANOSECONDS / atof(arguments[3]);
	edges = atol(arguments[4]);
	bounces = atol(arguments[5]);

	clock_gettime(CLOCK_MONOTONIC, &start);
	due = start;
	for (long i = 0; i < labs(edges); i++) {
		// A leads: it changes while both are equal. B leads: the other way round.
		struct line *line = (a.isHigh == b.isHigh) == (edges > 0) ? &a : &b;

		advance(&due, step);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		if (since(&due) > worst)
			worst = since(&due);
		pause = due;
		for (long j = 0; j < 2 * bounces; j++) {
			if (toggle(line) < 0)
				break;
			advance(&pause, BOUNCE_NS);
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &pause, NULL);
		}
		if (toggle(line) < 0) {
			perror("write");
			return 1;
		}
	}
	printf("{\"edges\":%ld,\"seconds\":%.6f,\"worstLateMs\":%.3f}\n", labs(edges), since(&start), worst * 1e3);
	return 0;
}
