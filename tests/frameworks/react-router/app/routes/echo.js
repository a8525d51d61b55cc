export const action = async ({ request }) => Response.json({ given: await request.json() }, { status: 201 });
