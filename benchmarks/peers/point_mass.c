/* A point mass to the ground, as plain as a benchmark's yardstick can be: fourth-order Runge-Kutta of a fixed step, drag
 * by a table in Mach number, the standard atmosphere below 11 km, constant gravity, a flat and still earth. */
#include <math.h>

static void accel(const double *y, double inv_2beta, const double *drag, int rows, double mach_step, double *a)
{
    double t = 288.15 - 0.0065 * y[2];
    if (t < 216.65)
        t = 216.65;
    double rho = 1.225 * pow(t / 288.15, 4.2559);
    double v = sqrt(y[3] * y[3] + y[4] * y[4] + y[5] * y[5]);
    double x = v / (20.0468 * sqrt(t)) / mach_step;
    int i = x < rows - 2 ? (int)x : rows - 2;
    double q = inv_2beta * rho * v * (drag[i] + (x - i) * (drag[i + 1] - drag[i]));
    a[0] = -q * y[3];
    a[1] = -q * y[4];
    a[2] = -q * y[5] - 9.80665;
}

/* The state y (6) in steps of dt until it is under the ground; returns the time there and leaves the place in y. */
double fall(double *y, double beta, const double *drag, int rows, double mach_step, double dt)
{
    double k[4][6], s[6], last = y[2], t = 0.0;
    while (t < 300.0) {
        for (int stage = 0; stage < 4; stage++) {
            double reach = stage == 0 ? 0.0 : stage == 3 ? dt : 0.5 * dt;
            for (int j = 0; j < 6; j++)
                s[j] = stage == 0 ? y[j] : y[j] + reach * k[stage - 1][j];
            for (int j = 0; j < 3; j++)
                k[stage][j] = s[3 + j];
            accel(s, 0.5 / beta, drag, rows, mach_step, k[stage] + 3);
        }
        last = y[2];
        for (int j = 0; j < 6; j++)
            y[j] += dt / 6.0 * (k[0][j] + 2.0 * k[1][j] + 2.0 * k[2][j] + k[3][j]);
        t += dt;
        if (y[2] <= 0.0 && y[5] < 0.0)
            break;
    }
    double over = last > y[2] ? y[2] / (y[2] - last) : 0.0;
    for (int j = 0; j < 3; j++)
        y[j] += over * dt * y[3 + j];
    return t + over * dt;
}
