/* A slow device, played by a worker thread; what the engine and the provider share. */
#ifndef DEVICE_H
#define DEVICE_H

/* How long each operation takes, in microseconds, on top of its own work. Any number of
 * operations are under way at once. Environment: PAUSING_LATENCY. */
void device_set_latency(unsigned long microseconds);

/* Has operation(arg) run by the device and returns its result. In a job it pauses until
 * the device is done, else it waits. Returns only when the device has let go of arg. */
int device_run(int (*operation)(void *), void *arg);

/* Ends the worker. Nothing may be under way. */
void device_stop(void);

#endif
