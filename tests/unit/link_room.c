/* Links one room whole with only what it may use (tests/unit/Makefile.inc). That it links is the test. */
int main(void)
{
	return 0;
}
