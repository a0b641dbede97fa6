/** The X.509 library, ready for use: its import order and its crypto provider are set up here only. */
import './reflect.ts';

export * from '@peculiar/x509';
