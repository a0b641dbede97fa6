/** The X.509 library, with what it needs loaded before it; import it from here only. */
import './reflect.ts';

export * from '@peculiar/x509';
